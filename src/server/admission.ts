import type { Socket } from 'node:net';
import { formatPeer, peerAddress } from '../core/address.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { Observer } from '../core/events.ts';

export interface AdmissionOptions {
  /** Connections at the same time, in all. 0: no limit. */
  readonly maxConnections: number;
  /** Connections at the same time, from one address. 0: no limit. */
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
  readonly #perAddress = new Map<string, number>();
  #count = 0;
  #told = 0;
  #untold = 0;
  /** Warnings of this window by code: how often there was cause for one; the first was told. */
  readonly #warnings = new Map<string, number>();
  #window: NodeJS.Timeout | null = null;

  constructor(options: AdmissionOptions) {
    this.#options = options;
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
    const remote = this.admitProxy(socket);
    return remote !== null && this.admitBehind(socket, peerAddress(remote)) ? remote : null;
  }

  /** As {@link admit}, for a peer that speaks for others: it has no limit of its own. {@link admitBehind} follows. */
  admitProxy(socket: Socket): string | null {
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
    socket.once('close', () => {
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
    socket.once('close', () => this.#leave(address));
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

  #leave(address: string): void {
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
