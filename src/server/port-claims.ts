import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import type { StreamEnd } from '../core/events.ts';
import { isTaken, type Listener, listenOn } from '../net/listen.ts';
import type { ListenerGroup } from '../net/listener-group.ts';
import { ListenerSet } from '../net/listener-set.ts';
import type { Admission } from './admission.ts';
import { type ByteVisit, ByteVisits, type StreamDialer } from './byte-visits.ts';
import type { DomainStreams } from './domain-streams.ts';
import type { DomainTable } from './domain-table.ts';
import type { ResolvedDomain, ResolvedServerOptions } from './resolve-options.ts';
import type { AccessControl } from './visitor-access.ts';

/** Who claims a port: one instance of a domain. */
export interface Claimant {
  readonly domain: string;
  readonly instance: string;
}

export interface PortClaimsOptions {
  readonly options: Pick<ResolvedServerOptions, 'listen' | 'observer'>;
  readonly domains: () => DomainTable;
  readonly access: Pick<AccessControl, 'of'>;
  readonly admission: Admission;
  readonly streams: DomainStreams;
  /** Dials this very instance. */
  dialerOf(claimant: Claimant): StreamDialer;
  /** Whether the instance has a tunnel. */
  isLive(claimant: Claimant): boolean;
}

/** A port that is claimed, from the claim to the end of its listeners. */
interface Claim extends Claimant {
  readonly port: number;
  /** Resolves when its listeners are open; rejects with `port-taken` or `listen-failed`. */
  readonly opening: Promise<void>;
  readonly keys: readonly string[];
  /** It was given up or taken away: no new visitors. */
  closed: boolean;
  /** Why its visitors are cut; null: they are not. */
  cut: StreamEnd | null;
}

/** Visitors of every address come in, where no front door says which are meant. */
const EVERYWHERE = ['0.0.0.0', '::'];

/**
 * TCP ports that agents asked for (design 3.2), each for as long as its instance has a tunnel. Visitors reach that instance,
 * under the rules of its domain.
 */
export class PortClaims {
  readonly #given: PortClaimsOptions;
  readonly #listeners = new ListenerSet();
  readonly #claims = new Map<number, Claim>();
  #stopped = false;

  constructor(given: PortClaimsOptions) {
    this.#given = given;
  }

  get all(): readonly (Claimant & { readonly port: number })[] {
    return [...this.#claims.values()];
  }

  /**
   * Opens a port for an instance. `held`: it has it already. Fails with `port-taken` (the text says by whom),
   * `domain-unserved` where the instance has no tunnel, `listen-failed`.
   */
  async claim(claimant: Claimant, port: number): Promise<'opened' | 'held'> {
    if (this.#stopped) throw new BackdialError('tunnel-draining', 'the server is closing');
    const held = this.#claims.get(port);
    if (held !== undefined) {
      if (!isSame(held, claimant)) throw takenBy(port, nameOf(held));
      await held.opening;
      return 'held';
    }
    const owner = this.#ownerOf(port);
    if (owner !== null) throw takenBy(port, owner);
    if (!this.#given.isLive(claimant)) throw new BackdialError('domain-unserved', `${nameOf(claimant)} has no tunnel`);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => {});
    const keys = this.#hosts().map((host) => formatAddress({ host, port }));
    const claim: Claim = { ...claimant, port, keys, opening: promise, closed: false, cut: null };
    this.#claims.set(port, claim);
    try {
      await this.#open(claim);
      resolve();
      return 'opened';
    } catch (error) {
      this.#close(claim, null);
      reject(error);
      throw error;
    }
  }

  /** Closes a port; its visitors live on. False: the instance does not have it. */
  release(claimant: Claimant, port: number): boolean {
    const claim = this.#claims.get(port);
    if (claim === undefined || !isSame(claim, claimant)) return false;
    this.#close(claim, null);
    return true;
  }

  /** The last tunnel of an instance has left. Its visitors end with it. */
  instanceOnGone(claimant: Claimant): void {
    for (const claim of this.#claims.values()) if (isSame(claim, claimant)) this.#close(claim, null);
  }

  /** Takes a port away; its visitors are reset. */
  revoke(port: number): void {
    const claim = this.#claims.get(port);
    if (claim !== undefined) this.#close(claim, 'port-refused');
  }

  /** Stops accepting at once; what is open lives on. Idempotent. */
  stop(): void {
    this.#stopped = true;
    this.#listeners.stop();
  }

  /** Stops, then resolves when the last visitor has gone; cuts none. */
  drained(): Promise<void> {
    this.stop();
    return this.#listeners.drained();
  }

  /** Stops, resets every visitor, resolves when all have closed. Idempotent. */
  close(): Promise<void> {
    this.stop();
    for (const claim of this.#claims.values()) claim.cut ??= 'tunnel-draining';
    return this.#listeners.close((socket) => socket.resetAndDestroy());
  }

  /** Where visitors of claimed ports come in: at the addresses of the front doors. */
  #hosts(): string[] {
    const { listen } = this.#given.options;
    const hosts = listen.flatMap(({ address }) => ('host' in address ? [address.host] : []));
    return hosts.length === 0 ? EVERYWHERE : [...new Set(hosts)];
  }

  /** The domain whose own `listen` has the port. */
  #ownerOf(port: number): string | null {
    for (const { name, listen } of this.#given.domains().all()) {
      if (listen.some((address) => 'port' in address && address.port === port)) return name;
    }
    return null;
  }

  async #open(claim: Claim): Promise<void> {
    const { observer } = this.#given.options;
    const wanted = this.#hosts().map((host) => {
      const address = { host, port: claim.port };
      return { key: formatAddress(address), listen: (group: ListenerGroup) => this.#listen(claim, address, group) };
    });
    try {
      await this.#listeners.open(wanted);
    } catch (thrown) {
      if (isTaken(thrown)) throw takenBy(claim.port, 'another process on the server');
      throw asBackdialError(thrown, 'listen-failed');
    }
    // It may have been taken away meanwhile.
    if (claim.closed) throw new BackdialError('domain-unserved', `${nameOf(claim)} has no tunnel`);
    for (const address of claim.keys) observer({ type: 'listening', purpose: 'claim', address, domain: claim.domain });
  }

  #listen(claim: Claim, address: SocketAddress, group: ListenerGroup): Promise<Listener> {
    const { admission } = this.#given;
    const visits = new ByteVisits({ ...this.#given, dialer: this.#given.dialerOf(claim) });
    return listenOn(address, {
      allowHalfOpen: true,
      onSocket: (socket) => {
        const remote = admission.admit(socket);
        if (remote === null) return;
        group.addSocket(socket);
        this.#accept(claim, visits, socket, remote);
      },
      onAcceptError: (error) => admission.acceptFailed(error),
    });
  }

  #accept(claim: Claim, visits: ByteVisits, socket: Socket, remote: string): void {
    const policy: ResolvedDomain | null = this.#given.domains().find(claim.domain);
    if (policy === null || claim.closed) {
      socket.resetAndDestroy();
      return;
    }
    const visit: ByteVisit = {
      socket,
      policy,
      name: `${claim.domain}:${claim.port}`,
      domain: claim.domain,
      way: 'tcp',
      remote,
      start: Date.now(),
      began: performance.now(),
      transaction: randomUUID(),
      endOfSocket: () => claim.cut ?? 'visitor-reset',
    };
    const refusal = this.#given.access.of(policy).refusal(remote);
    if (refusal === null) void visits.serve(visit);
    else void visits.turnAway(visit, refusal);
  }

  #close(claim: Claim, cut: StreamEnd | null): void {
    if (claim.closed) return;
    claim.closed = true;
    claim.cut = cut;
    this.#claims.delete(claim.port);
    const end = cut === null ? undefined : (socket: Socket) => socket.resetAndDestroy();
    // What is still being opened cannot be closed yet; its visitors are turned away meanwhile.
    void claim.opening
      .catch(() => {})
      .then(() => {
        for (const key of claim.keys) this.#listeners.remove(key, end);
      });
  }
}

function isSame(a: Claimant, b: Claimant): boolean {
  return a.domain === b.domain && a.instance === b.instance;
}

function nameOf({ domain, instance }: Claimant): string {
  return `${domain} (instance ${instance})`;
}

function takenBy(port: number, owner: string): BackdialError {
  return new BackdialError('port-taken', `port ${port} is taken by ${owner}`);
}
