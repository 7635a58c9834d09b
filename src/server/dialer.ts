import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Carrier, CarrierSource, Dialer, Dialled, DialOptions } from '../core/dial.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { canonicalName } from '../core/host-name.ts';
import type { Picked, TunnelRegistry } from '../registry/registry.ts';
import { Arrivals } from './arrivals.ts';
import { Backend, type Backends } from './backends.ts';
import type { DomainMatch, DomainTable } from './domain-table.ts';

/** How many tunnels one dial may try. */
const MAX_ATTEMPTS = 3;
const MAX_PORT = 65_535;
/** How long a dial waits for the room that free streams leave, and how often it looks, ms. */
const ROOM_WAIT_MS = 2_000;
const ROOM_POLL_MS = 20;

/**
 * Ends a stream that is kept for HTTP visitors to come, of one of these domains (and of one instance), so that there will be
 * room for another. False: there is none.
 */
export type RoomMaker = (domains: readonly string[], instance: string | null) => boolean;
/** Between two attempts at a domain whose tunnels are full. */
const FULL_PAUSE_MS = 50;

export interface TunnelDialerOptions {
  /** Those in force. */
  readonly domains: () => DomainTable;
  readonly registry: TunnelRegistry;
  readonly backends: Pick<Backends, 'of'>;
  /** Default: makes none. */
  readonly makeRoom?: RoomMaker;
}

/**
 * Resolves names to tunnels; balancing and fail-over of dials live here (design, section 2). A domain's `target` beside the
 * server takes what no tunnel does: there is none, or those that were tried failed.
 */
export class TunnelDialer implements Dialer, CarrierSource {
  readonly #domains: () => DomainTable;
  readonly #registry: TunnelRegistry;
  readonly #backends: Pick<Backends, 'of'>;
  readonly #makeRoom: RoomMaker;
  readonly #arrivals: Arrivals;

  constructor({ domains, registry, backends, makeRoom = () => false }: TunnelDialerOptions) {
    this.#domains = domains;
    this.#registry = registry;
    this.#backends = backends;
    this.#makeRoom = makeRoom;
    this.#arrivals = new Arrivals(registry);
  }

  /** Ends what waits in {@link openWhenServed}, now and from now on. */
  close(): void {
    this.#arrivals.close();
  }

  pick(domain: string, except?: ReadonlySet<Carrier>): Carrier {
    return this.#pick(domain, this.#match(domain), except);
  }

  /** As {@link pick}, by a name as a dial resolves it: also `instance.domain`. */
  pickNamed(name: string, except?: ReadonlySet<Carrier>): Carrier {
    return this.#pick(name, this.#domains().resolve(name), except);
  }

  serves(domain: string): boolean {
    const policy = this.#domains().find(domain);
    // Counted also for a domain that does not exist, for the time that it takes.
    const instances = this.#registry.instanceCount(domain) + this.#registry.instanceCount(policy?.name ?? domain);
    return policy !== null && (policy.target !== null || instances > 0);
  }

  /** The domain alone: visitors who name no instance (design, section 2). */
  #match(domain: string): DomainMatch | null {
    const policy = this.#domains().find(domain);
    return policy === null ? null : { policy, domain, instance: null };
  }

  #pick(name: string, match: DomainMatch | null, except?: ReadonlySet<Carrier>): Carrier {
    if (match === null) throw new BackdialError(this.#domains().absence(name), name);
    const options = { instance: match.instance, balance: match.policy.balance, except };
    let picked: Picked = this.#registry.pick(match.domain, options);
    // An exact claim is served before the wildcard's.
    if (picked === 'none' && match.policy.name !== match.domain) {
      picked = this.#registry.pick(match.policy.name, options);
    }
    if (picked === 'none' && match.instance === null) {
      const backend = this.#backends.of(match.policy);
      if (backend !== null && except?.has(backend) !== true) return backend;
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
    return this.#open(host, authority, () => this.#domains().resolve(host), options);
  }

  /** As {@link open}, for a domain (canonical): what precedes its first dot is never taken for an instance. */
  async openDomain(domain: string, options: DialOptions): Promise<Dialled> {
    return this.#open(domain, domain, () => this.#match(domain), options);
  }

  /** As {@link open}, to one instance of a domain as it was claimed. `authority` is `domain[:port]`. */
  openAt(domain: string, instance: string, authority: string, options: DialOptions): Promise<Dialled> {
    const match = (): DomainMatch | null => {
      const found = this.#match(domain);
      return found === null ? null : { ...found, instance };
    };
    return this.#open(domain, authority, match, options);
  }

  async #open(
    host: string,
    authority: string,
    match: () => DomainMatch | null,
    options: DialOptions,
  ): Promise<Dialled> {
    if (options.signal?.aborted === true) throw aborted(options.signal);
    const tried = new Set<Carrier>();
    let failure: BackdialError | null = null;
    let waitedMs = 0;
    for (;;) {
      const found = match();
      let carrier: Carrier;
      try {
        carrier = this.#pick(host, found, tried);
      } catch (thrown) {
        // Where there is no other one, what the last attempt met says more than `domain-unserved`.
        if (failure !== null) throw failure;
        await this.#waitForRoom(found, thrown, waitedMs, options.signal);
        waitedMs += ROOM_POLL_MS;
        continue;
      }
      try {
        // In the turn of the choice, for the stream counts from here on: two who come at once would both have the last place.
        const stream = await carrier.open(authority, options);
        const ended = carrier instanceof Backend ? carrier.ended : null;
        return { stream, instance: carrier.instance, leaving: carrier.leaving, ended };
      } catch (thrown) {
        failure = asBackdialError(thrown, 'internal');
        tried.add(carrier);
        if (!failure.entry.retryable || tried.size >= MAX_ATTEMPTS) throw failure;
      }
    }
  }

  /** In full tunnels kept streams that nobody uses give way. Throws what the choice met where nothing does. */
  async #waitForRoom(
    found: DomainMatch | null,
    thrown: unknown,
    waitedMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (found === null || asBackdialError(thrown, 'internal').code !== 'stream-limit') throw thrown;
    const made = this.#makeRoom([found.domain, found.policy.name], found.instance);
    if ((waitedMs === 0 && !made) || waitedMs >= ROOM_WAIT_MS) throw thrown;
    await sleep(ROOM_POLL_MS, undefined, { ref: false });
    if (signal?.aborted === true) throw aborted(signal);
  }

  /**
   * As {@link open}; where nobody serves the name now, or all tunnels are full, it waits for up to `waitMs`. Fails with the
   * error of the last attempt, `dial-aborted`, or `stream-limit` where too many wait already.
   */
  async openWhenServed(name: string, options: DialOptions, waitMs: number): Promise<Dialled> {
    const expires = performance.now() + waitMs;
    for (;;) {
      try {
        return await this.open(name, options);
      } catch (thrown) {
        const { code } = asBackdialError(thrown, 'internal');
        const leftMs = expires - performance.now();
        if (!(code === 'domain-unserved' || code === 'stream-limit') || leftMs <= 0) throw thrown;
        // There is no event for a stream that ended; a tunnel that came is one.
        await this.#arrivals.wait(Math.min(leftMs, code === 'stream-limit' ? FULL_PAUSE_MS : leftMs), options.signal);
      }
    }
  }
}

function aborted({ reason }: AbortSignal): BackdialError {
  return new BackdialError('dial-aborted', undefined, { cause: reason });
}

/** `name[:port]` as the carrier lookup and the CONNECT need it. Fails with `name-invalid`. */
function parseName(name: string): { host: string; authority: string } {
  const colon = name.lastIndexOf(':');
  const end = colon !== -1 && /^\d+$/.test(name.slice(colon + 1)) ? colon : name.length;
  const host = canonicalName(name.slice(0, end));
  if (host === null) throw new BackdialError('name-invalid', name);
  const port = name.slice(end + 1);
  if (port !== '' && !(Number(port) >= 1 && Number(port) <= MAX_PORT)) {
    throw new BackdialError('name-invalid', `the port of ${name} is not 1 to ${MAX_PORT}`);
  }
  return { host, authority: `${host}${name.slice(end)}` };
}
