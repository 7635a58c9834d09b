import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import type { Dialer } from '../core/dial.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import type { StreamEnd } from '../core/events.ts';
import { type Listener, listenOn } from '../net/listen.ts';
import { ListenerGroup } from '../net/listener-group.ts';
import { type SpliceResult, splice } from '../net/splice.ts';
import { Admission } from './admission.ts';
import type { ResolvedServerOptions } from './resolve-options.ts';

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
  readonly dialer: Dialer;
  /** Shared with the other listeners. Default: one of its own, with the limits of `options`. */
  readonly admission?: Admission;
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
  readonly domain: string;
  readonly remote: string;
  readonly start: number;
  readonly transaction: string;
}

class DialingTcpWay implements TcpWay {
  readonly #options: TcpWayOptions['options'];
  readonly #dialer: Dialer;
  readonly #admission: Admission;
  readonly #group = new ListenerGroup();
  #closing = false;

  constructor({ options, dialer, admission }: TcpWayOptions) {
    this.#options = options;
    this.#dialer = dialer;
    this.#admission = admission ?? new Admission(options);
  }

  get connectionCount(): number {
    return this.#group.size;
  }

  async listen(): Promise<TcpAddress[]> {
    const wanted = this.#options.domains.flatMap(({ name, listen }) => listen.map((at) => ({ domain: name, at })));
    refuseDuplicates(wanted);
    const addresses: TcpAddress[] = [];
    try {
      for (const { domain, at } of wanted) {
        const listener = await this.#listenOn(domain, at);
        this.#group.addListener(listener);
        addresses.push({ domain, address: listener.address });
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

  async #listenOn(domain: string, at: SocketAddress): Promise<Listener> {
    const { observer } = this.#options;
    const listener = await listenOn(at, {
      allowHalfOpen: true,
      onSocket: (socket) => this.#listenerOnSocket(socket, domain, listener.address),
      onAcceptError: (error) => this.#admission.acceptFailed(error),
    });
    observer({ type: 'listening', purpose: 'tcp', address: formatAddress(listener.address), domain });
    return listener;
  }

  #listenerOnSocket(socket: Socket, domain: string, at: SocketAddress): void {
    const remote = this.#admission.admit(socket);
    if (remote === null) return;
    this.#group.addSocket(socket);
    // The agent chooses the target by port, and by the domain where its `ports` lacks this one.
    const name = 'port' in at ? `${domain}:${at.port}` : domain;
    const visit = { socket, domain, remote, start: Date.now(), transaction: randomUUID() };
    void this.#serve(visit, name);
  }

  /** Never rejects. Until the stream is open the socket is not read: what the visitor sends waits in it, in order. */
  async #serve(visit: Visit, name: string): Promise<void> {
    let stream: Duplex;
    try {
      stream = await this.#dial(visit, name);
    } catch (thrown) {
      const error = asBackdialError(thrown, 'internal');
      const gone = visit.socket.destroyed;
      visit.socket.resetAndDestroy();
      const reason = gone ? this.#endOfVisitor() : error.code;
      this.#record(visit, reason, error.entry.status, 0, 0);
      return;
    }
    const result = await splice(visit.socket, stream);
    this.#record(visit, this.#endOf(result), null, result.bytesAToB, result.bytesBToA);
  }

  /** Opens the stream; a visitor that goes meanwhile (a FIN alone is not going) aborts it. */
  async #dial({ socket, remote, transaction }: Visit, name: string): Promise<Duplex> {
    const gone = new AbortController();
    const socketOnClose = () => gone.abort(new BackdialError('visitor-reset'));
    socket.once('close', socketOnClose);
    try {
      return await this.#dialer.dial(name, { way: 'tcp', transaction, client: remote, signal: gone.signal });
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

  #record(visit: Visit, reason: StreamEnd, status: number | null, bytesIn: number, bytesOut: number): void {
    const { domain, remote, start, transaction } = visit;
    this.#options.observer({
      type: 'access',
      record: {
        start,
        domain,
        instance: null,
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

interface Wanted {
  readonly domain: string;
  readonly at: SocketAddress;
}

/** Before the kernel does it, which cannot say whose the other one is. Fails with `listen-failed`. */
function refuseDuplicates(wanted: readonly Wanted[]): void {
  for (const [index, { domain, at }] of wanted.entries()) {
    const other = wanted.slice(0, index).find((earlier) => overlap(earlier.at, at));
    if (other === undefined) continue;
    const by = other.domain === domain ? `twice by ${domain}` : `by ${other.domain} and by ${domain}`;
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
