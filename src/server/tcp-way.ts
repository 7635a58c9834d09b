import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import type { Dialled, DialOptions } from '../core/dial.ts';
import { asBackdialError, BackdialError, ERRORS, type ErrorCode } from '../core/errors.ts';
import type { StreamEnd } from '../core/events.ts';
import { type Listener, listenOn } from '../net/listen.ts';
import { ListenerGroup } from '../net/listener-group.ts';
import { type SpliceResult, splice } from '../net/splice.ts';
import { Admission } from './admission.ts';
import { DomainStreams } from './domain-streams.ts';
import type { ResolvedDomain, ResolvedServerOptions } from './resolve-options.ts';
import type { AccessControl } from './visitor-access.ts';

/** A TCP listener of a domain. */
interface TcpAddress {
  readonly domain: string;
  readonly address: SocketAddress;
}

/** The TCP way in: the listeners of all domains. */
export interface TcpWay {
  /** Opens every domain's `listen`; fails with `listen-failed`, and then none stays open. */
  listen(): Promise<TcpAddress[]>;
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
  /** Places of each domain, shared with the other ways in. Default: of its own. */
  readonly streams?: DomainStreams;
  /** Shared with the other listeners. Default: one of its own, with the limits of `options`. */
  readonly admission?: Admission;
}

/** Opens the stream of a visitor, and says which instance it leads to. */
export interface TcpDialer {
  open(name: string, options: DialOptions): Promise<Dialled>;
}

/** Makes the TCP way in; it does not listen yet. Fails with `config-invalid` where a wildcard domain has `listen`. */
export function createTcpWay(options: TcpWayOptions): TcpWay {
  for (const { name, listen } of options.options.domains) {
    if (!name.startsWith('*.') || listen.length === 0) continue;
    throw new BackdialError('config-invalid', `${name}: a wildcard cannot have \`listen\`; TCP visitors name no host`);
  }
  return new DialingTcpWay(options);
}

/** What is known of a visitor on accept. */
interface Visit {
  readonly socket: Socket;
  readonly policy: ResolvedDomain;
  readonly remote: string;
  readonly start: number;
  readonly transaction: string;
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
  readonly #group = new ListenerGroup();
  #closing = false;

  constructor({ options, dialer, access, admission, streams }: TcpWayOptions) {
    this.#options = options;
    this.#streams = streams ?? new DomainStreams();
    this.#dialer = dialer;
    this.#access = access;
    this.#admission = admission ?? new Admission(options);
  }

  get connectionCount(): number {
    return this.#group.size;
  }

  async listen(): Promise<TcpAddress[]> {
    const wanted = this.#options.domains.flatMap((policy) => policy.listen.map((at) => ({ policy, at })));
    refuseDuplicates(wanted);
    const addresses: TcpAddress[] = [];
    try {
      for (const { policy, at } of wanted) {
        const listener = await this.#listenOn(policy, at);
        this.#group.addListener(listener);
        addresses.push({ domain: policy.name, address: listener.address });
      }
    } catch (error) {
      await this.close();
      throw error;
    }
    return addresses;
  }

  stop(): void {
    this.#group.stop();
  }

  drained(): Promise<void> {
    return this.#group.drained();
  }

  close(): Promise<void> {
    this.#closing = true;
    return this.#group.close((socket) => socket.resetAndDestroy());
  }

  async #listenOn(policy: ResolvedDomain, at: SocketAddress): Promise<Listener> {
    const { observer } = this.#options;
    const listener = await listenOn(at, {
      allowHalfOpen: true,
      onSocket: (socket) => this.#listenerOnSocket(socket, policy, listener.address),
      onAcceptError: (error) => this.#admission.acceptFailed(error),
    });
    observer({ type: 'listening', purpose: 'tcp', address: formatAddress(listener.address), domain: policy.name });
    return listener;
  }

  #listenerOnSocket(socket: Socket, policy: ResolvedDomain, at: SocketAddress): void {
    const remote = this.#admission.admit(socket);
    if (remote === null) return;
    this.#group.addSocket(socket);
    // The agent chooses the target by port, and by the domain where its `ports` lacks this one.
    const name = 'port' in at ? `${policy.name}:${at.port}` : policy.name;
    const visit = { socket, policy, remote, start: Date.now(), transaction: randomUUID() };
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
      const reason = gone ? this.#endOfVisitor() : error.code;
      this.#record(visit, { ...refused(error.code), reason });
      return;
    }
    const { stream, instance } = dialled;
    const result = await splice(visit.socket, stream);
    this.#streams.leave(visit.policy);
    const { bytesAToB: bytesIn, bytesBToA: bytesOut } = result;
    this.#record(visit, { reason: this.#endOf(result), status: null, instance, bytesIn, bytesOut });
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

  #endOf({ end, error }: SpliceResult): StreamEnd {
    if (end === 'done') return 'done';
    if (end === 'a-reset') return this.#endOfVisitor();
    return asBackdialError(error, 'agent-lost').code;
  }

  /** A visitor's socket that was closed: by the visitor, or by {@link close}. */
  #endOfVisitor(): StreamEnd {
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

interface Wanted {
  readonly policy: ResolvedDomain;
  readonly at: SocketAddress;
}

/** Before the kernel does it, which cannot say whose the other one is. Fails with `listen-failed`. */
function refuseDuplicates(wanted: readonly Wanted[]): void {
  for (const [index, { policy, at }] of wanted.entries()) {
    const other = wanted.slice(0, index).find((earlier) => overlap(earlier.at, at));
    if (other === undefined) continue;
    const [one, two] = [other.policy.name, policy.name];
    const by = one === two ? `twice by ${one}` : `by ${one} and by ${two}`;
    const where = `${formatAddress(at)} is asked for ${by}`;
    throw new BackdialError('listen-failed', `${where}; give each its own address or port`);
  }
}

const ANY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

function overlap(a: SocketAddress, b: SocketAddress): boolean {
  if ('path' in a || 'path' in b) return 'path' in a && 'path' in b && a.path === b.path;
  if (a.port === 0 || a.port !== b.port) return false;
  if (a.host === b.host) return true;
  const sameFamily = a.host.includes(':') === b.host.includes(':');
  return sameFamily && (ANY_ADDRESS.has(a.host) || ANY_ADDRESS.has(b.host));
}
