import { setTimeout as sleep } from 'node:timers/promises';
import { asBackdialError } from '../core/errors.ts';
import type { Holder } from './holder.ts';
import type { ProxyProof, ProxyUsers } from './proxy-users.ts';

/** How long something may go on while it is not clear whether it is still granted. */
const RECHECK_MS = 4_000;
const RECHECK_PAUSE_MS = 100;

/** What is open under a grant. */
interface OpenGrant {
  readonly shown: ProxyProof;
  /** Who was found to have shown it. */
  holder: Holder;
  readonly isGranted: (holder: Holder) => boolean;
}

/** Streams that were opened under grants: when a grant goes, so do they. */
export class OpenGrants {
  readonly #users: ProxyUsers;
  readonly #open = new Map<AbortController, OpenGrant>();

  constructor(users: ProxyUsers) {
    this.#users = users;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The signal of what is given is aborted when it is granted no more. */
  add(grant: OpenGrant): AbortController {
    const controller = new AbortController();
    this.#open.set(controller, grant);
    return controller;
  }

  remove(controller: AbortController): void {
    this.#open.delete(controller);
  }

  /** Ends what is not granted any more: at once where that is clear, within {@link RECHECK_MS} where a hash has to be checked. */
  recheck(): void {
    for (const controller of this.#open.keys()) this.recheckOne(controller);
  }

  /** As {@link recheck}, for one of which more is known now. */
  recheckOne(controller: AbortController): void {
    const grant = this.#open.get(controller);
    if (grant === undefined) return;
    if (!this.#users.isCurrent(grant.holder)) void this.#recheck(controller, grant);
    else if (!grant.isGranted(grant.holder)) controller.abort();
  }

  async #recheck(controller: AbortController, grant: OpenGrant): Promise<void> {
    const late = setTimeout(() => controller.abort(), RECHECK_MS);
    late.unref();
    while (this.#open.has(controller) && !controller.signal.aborted) {
      try {
        const holder = await this.#users.identify(grant.shown, 0);
        if (typeof holder === 'string' || !grant.isGranted(holder)) controller.abort();
        else grant.holder = holder;
        break;
      } catch (thrown) {
        if (asBackdialError(thrown, 'internal').code !== 'connection-limit') controller.abort();
        else await sleep(RECHECK_PAUSE_MS, undefined, { ref: false });
      }
    }
    clearTimeout(late);
  }
}
