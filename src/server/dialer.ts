import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Carrier, CarrierSource, Dialer, Dialled, DialOptions } from '../core/dial.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { canonicalName } from '../core/host-name.ts';
import type { Picked, TunnelRegistry } from '../registry/registry.ts';
import type { DomainMatch, DomainTable } from './domain-table.ts';

/** How many tunnels one dial may try. */
const MAX_ATTEMPTS = 3;
/** How long a dial waits for the room that free streams leave, and how often it looks, ms. */
const ROOM_WAIT_MS = 2_000;
const ROOM_POLL_MS = 20;

/**
 * Ends a stream that is kept for HTTP visitors to come, of one of these domains (and of one instance), so that there will be
 * room for another. False: there is none.
 */
export type RoomMaker = (domains: readonly string[], instance: string | null) => boolean;

/** Resolves names to tunnels; balancing and fail-over of dials live here (design, section 2). */
export class TunnelDialer implements Dialer, CarrierSource {
  readonly #domains: () => DomainTable;
  readonly #registry: TunnelRegistry;
  readonly #makeRoom: RoomMaker;

  constructor(domains: () => DomainTable, registry: TunnelRegistry, makeRoom: RoomMaker = () => false) {
    this.#domains = domains;
    this.#registry = registry;
    this.#makeRoom = makeRoom;
  }

  pick(domain: string, except?: ReadonlySet<Carrier>): Carrier {
    const policy = this.#domains().find(domain);
    return this.#pick(domain, policy === null ? null : { policy, domain, instance: null }, except);
  }

  serves(domain: string): boolean {
    const policy = this.#domains().find(domain);
    if (policy === null) return false;
    return this.#registry.instanceCount(domain) > 0 || this.#registry.instanceCount(policy.name) > 0;
  }

  #pick(name: string, match: DomainMatch | null, except?: ReadonlySet<Carrier>): Carrier {
    if (match === null) throw new BackdialError(this.#domains().absence(name), name);
    const options = { instance: match.instance, balance: match.policy.balance, except };
    let picked: Picked = this.#registry.pick(match.domain, options);
    // An exact claim is served before the wildcard's.
    if (picked === 'none' && match.policy.name !== match.domain) {
      picked = this.#registry.pick(match.policy.name, options);
    }
    if (picked === 'none') throw new BackdialError('domain-unserved', name);
    if (picked === 'full') throw new BackdialError('stream-limit', name);
    return picked;
  }

  async dial(name: string, options: DialOptions): Promise<Duplex> {
    return (await this.open(name, options)).stream;
  }

  /**
   * Dials, and says which instance it reached. Tries up to three, other instances first; moves on only for errors that another
   * attempt may not meet.
   */
  async open(name: string, options: DialOptions): Promise<Dialled> {
    const { host, authority } = parseName(name);
    const tried = new Set<Carrier>();
    let carrier = await this.#pickWithRoom(host, options.signal);
    for (;;) {
      try {
        return { stream: await carrier.open(authority, options), instance: carrier.instance };
      } catch (thrown) {
        const error = asBackdialError(thrown, 'internal');
        tried.add(carrier);
        if (!error.entry.retryable || tried.size >= MAX_ATTEMPTS) throw error;
        carrier = this.#pickOther(host, tried, error);
      }
    }
  }

  /** The first carrier. In full tunnels kept streams that nobody uses give way. */
  async #pickWithRoom(host: string, signal: AbortSignal | undefined): Promise<Carrier> {
    for (let waitedMs = 0; ; waitedMs += ROOM_POLL_MS) {
      const match = this.#domains().resolve(host);
      try {
        return this.#pick(host, match);
      } catch (thrown) {
        if (match === null || asBackdialError(thrown, 'internal').code !== 'stream-limit') throw thrown;
        const made = this.#makeRoom([match.domain, match.policy.name], match.instance);
        if ((waitedMs === 0 && !made) || waitedMs >= ROOM_WAIT_MS) throw thrown;
      }
      await sleep(ROOM_POLL_MS, undefined, { ref: false });
      if (signal?.aborted === true) throw new BackdialError('dial-aborted');
    }
  }

  /** Another carrier; when there is none the error of the last attempt says more than `domain-unserved`. */
  #pickOther(host: string, tried: ReadonlySet<Carrier>, lastError: BackdialError): Carrier {
    try {
      return this.#pick(host, this.#domains().resolve(host), tried);
    } catch {
      throw lastError;
    }
  }
}

/** `name[:port]` as the carrier lookup and the CONNECT need it. Fails with `name-invalid`. */
function parseName(name: string): { host: string; authority: string } {
  const match = /^(.*?)(:\d{1,5})?$/.exec(name);
  const host = canonicalName(match?.[1] ?? '');
  if (host === null) throw new BackdialError('name-invalid', name);
  return { host, authority: `${host}${match?.[2] ?? ''}` };
}
