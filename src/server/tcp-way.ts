import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import type { BackdialError } from '../core/errors.ts';
import type { StreamEnd } from '../core/events.ts';
import { type Listener, listenOn } from '../net/listen.ts';
import type { ListenerGroup } from '../net/listener-group.ts';
import { ListenerSet, type WantedListener } from '../net/listener-set.ts';
import { SPLICED_BYTES } from '../net/spliced-socket.ts';
import { Admission } from './admission.ts';
import { type ByteVisit, ByteVisits, type StreamDialer } from './byte-visits.ts';
import { DomainStreams } from './domain-streams.ts';
import { DomainTable } from './domain-table.ts';
import type { ResolvedServerOptions } from './resolve-options.ts';
import { type TcpAddress, tcpAddresses } from './tcp-addresses.ts';
import type { AccessControl } from './visitor-access.ts';

/** The TCP way in: the listeners of all domains. */
export interface TcpWay {
  /** Opens every domain's `listen`; fails with `listen-failed`, and then none stays open. */
  listen(): Promise<TcpAddress[]>;
  /**
   * Closes and opens listeners until they are those of the domains; visitors of closed ones are reset, all others are not
   * touched. Gives what could not be opened.
   */
  follow(): Promise<BackdialError[]>;
  /** Stops accepting at once; what is open lives on. Idempotent. */
  stop(): void;
  /** Stops, then resolves when the last visitor has gone; cuts none. */
  drained(): Promise<void>;
  /** Stops, resets every visitor, resolves when all have closed. Idempotent. */
  close(): Promise<void>;
  /** Visitors that are connected. */
  readonly connectionCount: number;
}

export interface TcpWayOptions {
  readonly options: Pick<ResolvedServerOptions, 'domains' | 'observer' | 'maxConnections' | 'maxConnectionsPerAddress'>;
  readonly dialer: StreamDialer;
  readonly access: Pick<AccessControl, 'of'>;
  /** Those in force. Default: those of `options`, for ever. */
  readonly domains?: () => DomainTable;
  /** Places of each domain, shared with the other ways in. Default: of its own. */
  readonly streams?: DomainStreams;
  /** Shared with the other listeners. Default: one of its own, with the limits of `options`. */
  readonly admission?: Admission;
}

/** Makes the TCP way in; it does not listen yet. */
export function createTcpWay(options: TcpWayOptions): TcpWay {
  return new DialingTcpWay(options);
}

/** A listener that is open. */
interface Door {
  readonly domain: string;
  /** Set once it is closed on purpose: its visitors are cut. */
  closed: boolean;
}

/** Where a visitor came in. */
interface Accepted {
  readonly door: Door;
  readonly group: ListenerGroup;
  readonly at: SocketAddress;
}

class DialingTcpWay implements TcpWay {
  readonly #options: TcpWayOptions['options'];
  readonly #access: TcpWayOptions['access'];
  readonly #visits: ByteVisits;
  readonly #admission: Admission;
  readonly #domains: () => DomainTable;
  readonly #listeners = new ListenerSet();
  readonly #doors = new Map<string, Door>();
  #stopped = false;
  #closing = false;

  constructor({ options, dialer, access, admission, domains, streams }: TcpWayOptions) {
    this.#options = options;
    const own = new DomainTable(domains === undefined ? options.domains : []);
    this.#domains = domains ?? (() => own);
    this.#visits = new ByteVisits({ dialer, streams: streams ?? new DomainStreams(), options });
    this.#access = access;
    this.#admission = admission ?? new Admission(options);
  }

  get connectionCount(): number {
    return this.#listeners.size;
  }

  async listen(): Promise<TcpAddress[]> {
    const { open, refused } = tcpAddresses(this.#domains().all());
    const [problem] = refused;
    if (problem !== undefined) throw problem;
    try {
      const addresses = await this.#listeners.open(open.map((each) => this.#wanted(each)));
      return addresses.map((address, index) => ({ domain: open[index]?.domain ?? '', address }));
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async follow(): Promise<BackdialError[]> {
    if (this.#stopped) return [];
    const { open, refused } = tcpAddresses(this.#domains().all());
    const wanted = open.map((each) => this.#wanted(each));
    const keys = new Set(wanted.map(({ key }) => key));
    for (const [key, door] of this.#doors) {
      if (keys.has(key)) continue;
      door.closed = true;
      this.#doors.delete(key);
    }
    return [...refused, ...(await this.#listeners.follow(wanted, (socket) => socket.resetAndDestroy()))];
  }

  stop(): void {
    this.#stopped = true;
    this.#listeners.stop();
  }

  drained(): Promise<void> {
    this.stop();
    return this.#listeners.drained();
  }

  close(): Promise<void> {
    this.stop();
    this.#closing = true;
    return this.#listeners.close((socket) => socket.resetAndDestroy());
  }

  #wanted({ domain, address }: TcpAddress): WantedListener {
    const key = `${domain} ${formatAddress(address)}`;
    const listen = async (group: ListenerGroup): Promise<Listener> => {
      const door: Door = { domain, closed: false };
      const listener = await listenOn(address, {
        allowHalfOpen: true,
        highWaterMark: SPLICED_BYTES,
        onSocket: (socket) => this.#listenerOnSocket(socket, { door, group, at: listener.address }),
        onAcceptError: (error) => this.#admission.acceptFailed(error),
      });
      this.#doors.set(key, door);
      this.#options.observer({ type: 'listening', purpose: 'tcp', address: formatAddress(listener.address), domain });
      return listener;
    };
    return { key, listen };
  }

  #listenerOnSocket(socket: Socket, { door, group, at }: Accepted): void {
    const remote = this.#admission.admit(socket);
    if (remote === null) return;
    group.addSocket(socket);
    const policy = this.#domains().find(door.domain);
    if (policy === null) {
      socket.resetAndDestroy();
      return;
    }
    // The agent chooses the target by port, and by the domain where its `ports` lacks this one.
    const name = 'port' in at ? `${policy.name}:${at.port}` : policy.name;
    const visit: ByteVisit = {
      socket,
      policy,
      name,
      domain: policy.name,
      way: 'tcp',
      remote,
      start: Date.now(),
      began: performance.now(),
      transaction: randomUUID(),
      endOfSocket: () => this.#endOfSocket(door),
    };
    const refusal = this.#access.of(policy).refusal(remote);
    if (refusal === null) void this.#visits.serve(visit);
    else void this.#visits.turnAway(visit, refusal);
  }

  /** A visitor's socket that was closed: by the visitor, with its listener, or by {@link close}. */
  #endOfSocket(door: Door): StreamEnd {
    if (door.closed) return 'domain-inactive';
    return this.#closing ? 'tunnel-draining' : 'visitor-reset';
  }
}
