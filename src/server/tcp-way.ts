import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import type { Dialled, DialOptions } from '../core/dial.ts';
import { asBackdialError, BackdialError, ERRORS, type ErrorCode } from '../core/errors.ts';
import type { StreamEnd } from '../core/events.ts';
import { type Listener, listenOn } from '../net/listen.ts';
import type { ListenerGroup } from '../net/listener-group.ts';
import { ListenerSet, type WantedListener } from '../net/listener-set.ts';
import { type SpliceResult, splice } from '../net/splice.ts';
import { Admission } from './admission.ts';
import { DomainStreams } from './domain-streams.ts';
import { DomainTable } from './domain-table.ts';
import type { ResolvedDomain, ResolvedServerOptions } from './resolve-options.ts';
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
  readonly dialer: TcpDialer;
  readonly access: Pick<AccessControl, 'of'>;
  /** Those in force. Default: those of `options`, for ever. */
  readonly domains?: () => DomainTable;
  /** Places of each domain, shared with the other ways in. Default: of its own. */
  readonly streams?: DomainStreams;
  /** Shared with the other listeners. Default: one of its own, with the limits of `options`. */
  readonly admission?: Admission;
}

/** Opens the stream of a visitor, and says which instance it leads to. */
export interface TcpDialer {
  open(name: string, options: DialOptions): Promise<Dialled>;
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

/** What is known of a visitor on accept. */
interface Visit {
  readonly door: Door;
  readonly socket: Socket;
  readonly policy: ResolvedDomain;
  readonly remote: string;
  readonly start: number;
  readonly transaction: string;
}

/** Where a visitor came in. */
interface Accepted {
  readonly door: Door;
  readonly group: ListenerGroup;
  readonly at: SocketAddress;
}

/** How a visit ended. */
interface VisitEnd {
  readonly reason: StreamEnd;
  /** Of the refusal; null where the stream was open. */
  readonly status: number | null;
  readonly instance: string | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

class DialingTcpWay implements TcpWay {
  readonly #options: TcpWayOptions['options'];
  readonly #dialer: TcpDialer;
  readonly #access: TcpWayOptions['access'];
  readonly #streams: DomainStreams;
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
    this.#streams = streams ?? new DomainStreams();
    this.#dialer = dialer;
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
    const visit = { door, socket, policy, remote, start: Date.now(), transaction: randomUUID() };
    const refusal = this.#access.of(policy).refusal(remote);
    if (refusal !== null) {
      socket.resetAndDestroy();
      this.#record(visit, refused(refusal));
      return;
    }
    void this.#serve(visit, name);
  }

  /** Never rejects. Until the stream is open the socket is not read: what the visitor sends waits in it, in order. */
  async #serve(visit: Visit, name: string): Promise<void> {
    let dialled: Dialled;
    try {
      dialled = await this.#dial(visit, name);
    } catch (thrown) {
      const error = asBackdialError(thrown, 'internal');
      const gone = visit.socket.destroyed;
      visit.socket.resetAndDestroy();
      const reason = gone ? this.#endOfVisitor(visit) : error.code;
      this.#record(visit, { ...refused(error.code), reason });
      return;
    }
    const { stream, instance } = dialled;
    const result = await splice(visit.socket, stream);
    this.#streams.leave(visit.policy);
    const { bytesAToB: bytesIn, bytesBToA: bytesOut } = result;
    this.#record(visit, { reason: this.#endOf(visit, result), status: null, instance, bytesIn, bytesOut });
  }

  /**
   * Waits for a place among the domain's streams, kept until {@link DomainStreams.leave}, and opens the stream. A visitor
   * that goes meanwhile (a FIN alone is not going) aborts it; no place is kept then.
   */
  async #dial({ socket, policy, remote, transaction }: Visit, name: string): Promise<Dialled> {
    const gone = new AbortController();
    const { signal } = gone;
    const socketOnClose = () => gone.abort(new BackdialError('visitor-reset'));
    socket.once('close', socketOnClose);
    try {
      if (!this.#streams.tryEnter(policy)) await this.#streams.wait(policy, signal);
      try {
        return await this.#dialer.open(name, { way: 'tcp', transaction, client: remote, signal });
      } catch (error) {
        this.#streams.leave(policy);
        throw error;
      }
    } finally {
      socket.off('close', socketOnClose);
    }
  }

  #endOf(visit: Visit, { end, error }: SpliceResult): StreamEnd {
    if (end === 'done') return 'done';
    if (end === 'a-reset') return this.#endOfVisitor(visit);
    return asBackdialError(error, 'agent-lost').code;
  }

  /** A visitor's socket that was closed: by the visitor, with its listener, or by {@link close}. */
  #endOfVisitor({ door }: Visit): StreamEnd {
    if (door.closed) return 'domain-inactive';
    return this.#closing ? 'tunnel-draining' : 'visitor-reset';
  }

  #record({ policy, remote, start, transaction }: Visit, end: VisitEnd): void {
    const { reason, status, instance, bytesIn, bytesOut } = end;
    this.#options.observer({
      type: 'access',
      record: {
        start,
        domain: policy.name,
        instance,
        id: transaction,
        way: 'tcp',
        method: null,
        path: null,
        status,
        reason,
        in: bytesIn,
        out: bytesOut,
        durationMs: Date.now() - start,
        remote,
        ua: null,
        referer: null,
      },
    });
  }
}

/** The end of a visit that never had a stream. */
function refused(reason: ErrorCode): VisitEnd {
  return { reason, status: ERRORS[reason].status, instance: null, bytesIn: 0, bytesOut: 0 };
}
