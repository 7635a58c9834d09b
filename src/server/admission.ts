import type { Socket } from 'node:net';
import { formatPeer, peerAddress } from '../core/address.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { Observer } from '../core/events.ts';
import { descriptorLimit, descriptorsLeft } from '../net/descriptors.ts';

export interface AdmissionOptions {
  /** Connections at the same time, in all. 0: no limit. */
  readonly maxConnections: number;
  /** Connections at the same time, from one address; those of agents that were let in do not count. 0: no limit. */
  readonly maxConnectionsPerAddress: number;
  readonly observer: Observer;
}

/** A connection that is turned away before it named a domain. */
export interface Refusal {
  /** The peer, `ip:port`. */
  readonly remote: string;
  readonly reason: ErrorCode;
  readonly detail: string;
  /** SNI, where one was read. */
  readonly name: string | null;
}

/** What the system lets the process open. */
export interface Descriptors {
  /** How many at most; Infinity: not known. */
  limit(): number;
  /** How many more. */
  left(): number;
}

const PROCESS: Descriptors = { limit: descriptorLimit, left: descriptorsLeft };
/** One place in so many is kept for agents, up to {@link MAX_SPARE}. */
const SHARES = 16;
const MAX_SPARE = 64;
/** Descriptors that visitors do not get: for agents, files and targets. */
const MIN_RESERVE = 16;

function reserveOf(limit: number): number {
  return Math.max(MIN_RESERVE, Math.min(2 * MAX_SPARE, Math.floor(limit / 8)));
}

/** How long the log is spared after {@link REFUSALS_PER_WINDOW}. */
const WINDOW_MS = 10_000;
/** Refusals told one by one in a window; strangers must not be able to fill the log. */
const REFUSALS_PER_WINDOW = 100;

/**
 * Counts the connections of all public listeners against their limits, and tells of refused ones: each as a
 * `connection-refused` event, up to 100 in 10 s, then as one warning with their number. A connection over a limit is one of
 * a warning from the start, at most one every 10 s.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #descriptors: Descriptors;
  readonly #perAddress = new Map<string, number>();
  /** For which address a socket counts. */
  readonly #addresses = new WeakMap<Socket, string>();
  /** Sockets in places that are kept for agents, the oldest first. */
  readonly #spare = new Set<Socket>();
  #count = 0;
  #told = 0;
  #untold = 0;
  /** Warnings of this window by code: how often there was cause for one; the first was told. */
  readonly #warnings = new Map<string, number>();
  #window: NodeJS.Timeout | null = null;

  constructor(options: AdmissionOptions, descriptors: Descriptors = PROCESS) {
    this.#options = options;
    this.#descriptors = descriptors;
  }

  /** Connections that are open. */
  get connectionCount(): number {
    return this.#count;
  }

  /**
   * Counts the socket until it closes; its peer as `ip:port` (`unix` for a Unix socket, which has no limit per address).
   * Null when a limit is reached or the peer is gone already: the socket is destroyed then.
   */
  admit(socket: Socket): string | null {
    const fullness = this.#fullness();
    return fullness === null ? this.#admitWhole(socket) : this.#turnAway(socket, fullness);
  }

  /**
   * As {@link admit}, for listeners where agents come in, too: what is kept for them is given to whoever comes, until it is seen
   * who that is. {@link isSpare} tells such a socket; {@link keep} is for agents, all others are to be turned away. Of
   * spare ones the oldest has to go for the next, so that silent ones keep no agent out.
   */
  admitToDoor(socket: Socket): string | null {
    return this.#enterDoor(socket, () => this.#admitWhole(socket));
  }

  /** As {@link admitToDoor}, for a peer that speaks for others: it has no limit of its own. {@link admitBehind} follows. */
  admitProxy(socket: Socket): string | null {
    return this.#enterDoor(socket, () => this.#enter(socket));
  }

  /** Whether a socket has one of the places that are kept for agents. */
  isSpare(socket: Socket): boolean {
    return this.#spare.has(socket);
  }

  /** An agent's: it stays, and counts for its address no more. One of thousands of domains has a tunnel for each, and neighbours. */
  keep(socket: Socket): void {
    this.#spare.delete(socket);
    this.#leave(socket);
  }

  #enterDoor(socket: Socket, enter: () => string | null): string | null {
    const fullness = this.#fullness();
    if (fullness === null) return enter();
    const [oldest] = this.#spare;
    if (oldest !== undefined && this.#spare.size >= this.#spareLimit()) {
      this.#spare.delete(oldest);
      oldest.destroy();
    }
    const remote = enter();
    if (remote === null) return null;
    this.#warnOnce('connection-limit', `${fullness}; only agents are let in`);
    this.#spare.add(socket);
    socket.once('close', () => this.#spare.delete(socket));
    return remote;
  }

  /** Places of `maxConnections` that are kept for agents. */
  #share(): number {
    return Math.min(MAX_SPARE, Math.floor(this.#options.maxConnections / SHARES));
  }

  /** How many spare connections there may be at a time; as many descriptors are left for files and targets. */
  #spareLimit(): number {
    return Math.floor(reserveOf(this.#descriptors.limit()) / 2);
  }

  /** Why there is no place for one more visitor; null: there is one. */
  #fullness(): string | null {
    const { maxConnections } = this.#options;
    if (maxConnections > 0 && this.#count >= maxConnections - this.#share()) {
      return `the limit of ${maxConnections} connections is reached`;
    }
    const limit = this.#descriptors.limit();
    // Far from the limit there is nothing to be asked.
    if (this.#count <= limit / SHARES || this.#descriptors.left() > reserveOf(limit)) return null;
    return `the limit of ${limit} open files is near (raise LimitNOFILE, or lower \`connections\`)`;
  }

  #admitWhole(socket: Socket): string | null {
    const remote = this.#enter(socket);
    return remote !== null && this.admitBehind(socket, peerAddress(remote)) ? remote : null;
  }

  #enter(socket: Socket): string | null {
    const { maxConnections } = this.#options;
    const { remoteAddress, remotePort } = socket;
    // A TCP peer that reset the connection before it was looked at has no address any more.
    if (remoteAddress === undefined && socket.localAddress !== undefined) {
      socket.destroy();
      return null;
    }
    if (maxConnections > 0 && this.#count >= maxConnections) {
      return this.#turnAway(socket, `the limit of ${maxConnections} connections is reached`);
    }
    this.#count += 1;
    socket.on('close', () => {
      this.#count -= 1;
    });
    return formatPeer(remoteAddress, remotePort);
  }

  /**
   * Counts a socket, which {@link admitProxy} admitted, among those of its visitor's address (null: it has none) until it closes.
   * False when the limit of the address is reached: the socket is destroyed then.
   */
  admitBehind(socket: Socket, address: string | null): boolean {
    if (address === null) return true;
    const { maxConnectionsPerAddress } = this.#options;
    const ofAddress = this.#perAddress.get(address) ?? 0;
    if (maxConnectionsPerAddress > 0 && ofAddress >= maxConnectionsPerAddress) {
      this.#turnAway(socket, `${address} has its limit of ${maxConnectionsPerAddress} connections`);
      return false;
    }
    this.#perAddress.set(address, ofAddress + 1);
    this.#addresses.set(socket, address);
    socket.on('close', () => this.#leave(socket));
    return true;
  }

  /** Tells of a refused connection, or counts it where too many were told of already. */
  refused(refusal: Refusal): void {
    this.#openWindow();
    if (this.#told >= REFUSALS_PER_WINDOW) {
      this.#untold += 1;
      return;
    }
    this.#told += 1;
    this.#options.observer({ type: 'connection-refused', ...refusal });
  }

  /** Warns of a connection that could not be accepted, at most every 10 s (EMFILE comes in floods). */
  acceptFailed(error: Error): void {
    this.#warnOnce('accept-failed', `a connection could not be accepted: ${error.message}`);
  }

  /** Tells what was only counted so far. */
  close(): void {
    if (this.#window !== null) clearTimeout(this.#window);
    this.#windowOnEnd();
  }

  #turnAway(socket: Socket, problem: string): null {
    socket.destroy();
    this.#warnOnce('connection-limit', `${problem}; what is over it is closed at once`);
    return null;
  }

  #leave(socket: Socket): void {
    const address = this.#addresses.get(socket);
    if (address === undefined) return;
    this.#addresses.delete(socket);
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(address);
    else this.#perAddress.set(address, left);
  }

  #openWindow(): void {
    if (this.#window !== null) return;
    this.#window = setTimeout(() => this.#windowOnEnd(), WINDOW_MS);
    this.#window.unref();
  }

  #windowOnEnd(): void {
    this.#window = null;
    const untold = this.#untold;
    const warnings = [...this.#warnings];
    this.#told = 0;
    this.#untold = 0;
    this.#warnings.clear();
    const since = `in the last ${WINDOW_MS / 1_000} s`;
    if (untold > 0) this.#warn('connections-refused', `${untold} more connections were refused ${since}`);
    for (const [code, count] of warnings) if (count > 1) this.#warn(code, `${count} times ${since}`);
  }

  #warnOnce(code: string, message: string): void {
    this.#openWindow();
    const count = (this.#warnings.get(code) ?? 0) + 1;
    this.#warnings.set(code, count);
    if (count === 1) this.#warn(code, message);
  }

  #warn(code: string, message: string): void {
    this.#options.observer({ type: 'warning', code, message });
  }
}
