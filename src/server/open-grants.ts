import type { Holder } from './holder.ts';
import type { ProxyProof, ProxyUsers } from './proxy-users.ts';
import { recheck } from './recheck.ts';

/** What is open under a grant. */
interface OpenGrant {
  readonly shown: ProxyProof;
  /** Who was found to have shown it. */
  holder: Holder;
  readonly isGranted: (holder: Holder) => boolean;
}

/** Streams that were opened under grants: when a grant goes, so do they. */
export class OpenGrants {
  readonly #users: Pick<ProxyUsers, 'isCurrent' | 'identify'>;
  readonly #open = new Map<AbortController, OpenGrant>();

  constructor(users: Pick<ProxyUsers, 'isCurrent' | 'identify'>) {
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

  /** Ends what is not granted any more, as {@link recheck} does. */
  recheck(): void {
    for (const controller of this.#open.keys()) this.recheckOne(controller);
  }

  /** As {@link recheck}, for one of which more is known now. */
  recheckOne(controller: AbortController): void {
    const grant = this.#open.get(controller);
    if (grant === undefined) return;
    if (this.#users.isCurrent(grant.holder)) {
      if (!grant.isGranted(grant.holder)) controller.abort();
      return;
    }
    void recheck({
      isOpen: () => this.#open.has(controller) && !controller.signal.aborted,
      judge: async () => {
        const holder = await this.#users.identify(grant.shown, { refusalRounds: 0 });
        if (typeof holder === 'string' || !grant.isGranted(holder)) controller.abort();
        else grant.holder = holder;
      },
      revoke: () => controller.abort(),
    });
  }
}
