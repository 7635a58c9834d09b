import type { Socket } from 'node:net';
import { Crowd } from '../core/crowd.ts';
import type { Carrier, DialOptions, TargetTimeouts } from '../core/dial.ts';
import { BackdialError } from '../core/errors.ts';
import { sameValue } from '../core/same-value.ts';
import { openTarget } from '../net/open-target.ts';
import { visitorHeader } from '../net/proxy-protocol.ts';
import { resetDuplex } from '../net/reset.ts';
import type { DomainTable } from './domain-table.ts';
import type { ResolvedDomain } from './resolve-options.ts';

/** As an agent's defaults are. */
const CONNECT_TIMEOUT_MS = 5_000;
const TIMEOUTS: TargetTimeouts = { readMs: 60_000, writeMs: 20_000 };

type BackendPolicy = Pick<ResolvedDomain, 'name' | 'target' | 'proxyProtocol'>;

/** A domain's `target`, a service beside the server: it carries streams as a tunnel does, each a connection of its own. */
export class Backend implements Carrier {
  readonly id: string;
  readonly domain: string;
  readonly instance = null;
  readonly epoch = 0;
  readonly streamPerVisitor: boolean;
  readonly timeouts = TIMEOUTS;
  readonly #address: NonNullable<ResolvedDomain['target']>;
  readonly #proxyProtocol: ResolvedDomain['proxyProtocol'];
  readonly #leaving = new AbortController();
  readonly #ended = new AbortController();
  readonly #open = new Crowd<Socket>();

  constructor({ name, proxyProtocol }: BackendPolicy, target: NonNullable<ResolvedDomain['target']>) {
    this.id = `target of ${name}`;
    this.domain = name;
    this.#address = target;
    this.#proxyProtocol = proxyProtocol;
    // The header of a connection names one visitor.
    this.streamPerVisitor = proxyProtocol !== null;
  }

  get usable(): boolean {
    return !this.leaving.aborted;
  }

  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  /** Aborted, with the error that tells why, when its streams are cut. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  async open(_authority: string, { client, arrivedAt, signal }: DialOptions): Promise<Socket> {
    const header =
      this.#proxyProtocol === null
        ? null
        : visitorHeader(this.#proxyProtocol, { visitor: client ?? null, arrivedAt: arrivedAt?.() ?? null });
    const socket = await openTarget(this.#address, {
      timeoutMs: CONNECT_TIMEOUT_MS,
      header,
      ...(signal === undefined ? {} : { signal }),
    });
    if (this.ended.aborted) {
      resetDuplex(socket, this.ended.reason as BackdialError);
      throw this.ended.reason;
    }
    const place = this.#open.enter(socket);
    socket.once('close', () => this.#open.leave(place));
    return socket;
  }

  /** Nothing new is opened here; what is open lives on. */
  retire(): void {
    this.#leaving.abort();
  }

  /** Ends what is open. */
  cut(reason: BackdialError): void {
    this.retire();
    this.#ended.abort(reason);
    for (const socket of this.#open) resetDuplex(socket, reason);
  }
}

/** The backend of a domain, and those before it that still have streams. */
interface Entry {
  readonly policy: BackendPolicy;
  readonly backend: Backend;
  readonly retired: readonly Backend[];
}

/** The backends of all domains that have a `target`. */
export class Backends {
  readonly #byDomain = new Map<string, Entry>();

  /** The backend of a domain in force; null where it has no `target`. */
  of(policy: ResolvedDomain): Backend | null {
    if (policy.target === null) return null;
    const known = this.#byDomain.get(policy.name);
    if (known !== undefined && (known.policy === policy || isSame(known.policy, policy))) return known.backend;
    const backend = new Backend(policy, policy.target);
    known?.backend.retire();
    const retired = known === undefined ? [] : [...known.retired, known.backend].filter(({ isIdle }) => !isIdle);
    this.#byDomain.set(policy.name, { policy, backend, retired });
    return backend;
  }

  /**
   * To be called when the domains changed. Where a domain has no `target` any more, what is open is cut; where it has another
   * one, that lives on and only free connections are ended.
   */
  follow(domains: DomainTable): void {
    for (const [name, { backend, retired }] of this.#byDomain) {
      const policy = domains.named(name);
      if (policy !== null && this.of(policy) !== null) continue;
      this.#byDomain.delete(name);
      const gone = policy === null ? domains.absence(name) : 'domain-unserved';
      for (const one of [backend, ...retired]) one.cut(new BackdialError(gone, `${name} has no \`target\` any more`));
    }
  }
}

function isSame(a: BackendPolicy, b: BackendPolicy): boolean {
  return sameValue(a.target, b.target) && a.proxyProtocol === b.proxyProtocol;
}
