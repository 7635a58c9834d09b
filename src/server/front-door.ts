import { AsyncLocalStorage } from 'node:async_hooks';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import type { BackdialError, ErrorCode } from '../core/errors.ts';
import { ALERT, type Alert, sendAlert } from '../net/alert.ts';
import { type Listener, listenOn } from '../net/listen.ts';
import type { ListenerGroup } from '../net/listener-group.ts';
import { ListenerSet, type WantedListener } from '../net/listener-set.ts';
import { type PeekBudget, type Peeked, peekClientHello } from '../net/peek.ts';
import { keepRawSocket } from '../net/reset.ts';
import { Admission } from './admission.ts';
import { Certificates } from './certificates.ts';
import { clientSubject } from './client-certificate.ts';
import type { DomainTable } from './domain-table.ts';
import { type HelloRoute, helloRoute } from './hello-route.ts';
import type { ResolvedServerOptions } from './resolve-options.ts';
import { TlsServers } from './tls-servers.ts';
import { UncoveredDomains } from './uncovered-domains.ts';
import type { VisitorConnection } from './visitor.ts';

/** The TLS listeners for visitors and agents. */
export interface FrontDoor {
  /** Opens every listener of `options.listen`; fails with `listen-failed`, and then none stays open. */
  listen(): Promise<SocketAddress[]>;
  /**
   * Closes and opens listeners until they are those of `options.listen`; visitors of closed ones live on. Gives what could
   * not be opened.
   */
  follow(): Promise<BackdialError[]>;
  /** To be called when domains or certificates changed: warns of domains that no certificate covers, of each once. */
  warnOfUncovered(): void;
  /**
   * Stops accepting at once; visitors live on. A handshake that is under way has a second left, so that connections that
   * say nothing do not hold up a drain. Idempotent.
   */
  stop(): void;
  /** Stops, then resolves when the last connection has closed; closes none. */
  drained(): Promise<void>;
  /** Stops, destroys every connection, resolves when all have closed. Idempotent. */
  close(): Promise<void>;
  /** Where it listens now. */
  readonly addresses: readonly SocketAddress[];
  /** Connections that are open, those before their handshake included. */
  readonly connectionCount: number;
}

export interface FrontDoorOptions {
  readonly options: ResolvedServerOptions;
  readonly domains: () => DomainTable;
  /** Gets each connection after its TLS handshake; the socket has an `error` listener and is the callee's from then on. */
  onVisitor(tlsSocket: TLSSocket, connection: VisitorConnection): void;
  /**
   * PEM of the authorities one of which must have issued the certificate that a visitor (`ip:port`) of this name (SNI,
   * canonical) is asked for; null for none. Default: nobody is asked.
   */
  readonly clientAuthorities?: (name: string, remote: string) => string | null;
  /** Shared with the other listeners. Default: one of its own, with the limits of `options`. */
  readonly admission?: Admission;
  /** Those in force; asked at every connection. Default: those of `options`, for ever. */
  readonly certificates?: () => Certificates;
}

/** Checks the certificates (`config-invalid`) and makes a front door that does not listen yet. */
export function createFrontDoor(options: FrontDoorOptions): FrontDoor {
  return new TlsFrontDoor(options);
}

/** What unfinished ClientHellos may hold, all together. */
const PEEK_BUDGET_BYTES = 67_108_864;
/** What is left for a handshake once the front door has stopped. */
const STOPPED_HANDSHAKE_MS = 1_000;
/** Of a TLS handshake where `readTimeoutMs` is 0. */
const DEFAULT_HANDSHAKE_TIMEOUT_MS = 120_000;

/** A connection from accept to the end of its TLS handshake. */
interface Arrival {
  readonly raw: Socket;
  readonly remote: string;
  readonly acceptedAt: number;
  /** Set while the TLS handshake runs. */
  connection: VisitorConnection | null;
  deadline: NodeJS.Timeout | undefined;
  failure: { readonly reason: ErrorCode; readonly detail: string } | null;
}

class TlsFrontDoor implements FrontDoor {
  readonly #options: ResolvedServerOptions;
  readonly #domains: () => DomainTable;
  readonly #onVisitor: FrontDoorOptions['onVisitor'];
  readonly #admission: Admission;
  readonly #certificates: () => Certificates;
  readonly #clientAuthorities: NonNullable<FrontDoorOptions['clientAuthorities']>;
  /** Of the certificates that were in force at the last connection. */
  #tls: TlsServers | null = null;
  /** Carries an Arrival from the raw socket to the events of the TLS socket that `tls.Server` makes of it. */
  readonly #arrivals = new AsyncLocalStorage<Arrival>();
  readonly #budget: PeekBudget = { remaining: PEEK_BUDGET_BYTES };
  readonly #listeners = new ListenerSet();
  readonly #uncovered: UncoveredDomains;
  /** Connections that are before the end of their handshake. */
  readonly #arriving = new Set<Socket>();
  #stopped = false;

  constructor(given: FrontDoorOptions) {
    const { options, domains, onVisitor, admission, certificates, clientAuthorities = () => null } = given;
    this.#clientAuthorities = clientAuthorities;
    this.#options = options;
    this.#domains = domains;
    this.#onVisitor = onVisitor;
    this.#admission = admission ?? new Admission(options);
    this.#uncovered = new UncoveredDomains(options.observer);
    const own = certificates === undefined ? new Certificates(options.certificates) : null;
    this.#certificates = certificates ?? (() => own as Certificates);
  }

  get addresses(): readonly SocketAddress[] {
    return this.#listeners.addresses;
  }

  get connectionCount(): number {
    return this.#listeners.size;
  }

  warnOfUncovered(): void {
    this.#uncovered.check(this.#domains(), this.#certificates());
  }

  async listen(): Promise<SocketAddress[]> {
    this.warnOfUncovered();
    try {
      return await this.#listeners.open(this.#wanted());
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async follow(): Promise<BackdialError[]> {
    return this.#stopped ? [] : this.#listeners.follow(this.#wanted());
  }

  #wanted(): WantedListener[] {
    return this.#options.listen.map((address) => ({
      key: formatAddress(address),
      listen: (group) => this.#open(address, group),
    }));
  }

  async #open(address: SocketAddress, group: ListenerGroup): Promise<Listener> {
    const onAcceptError = (error: Error) => this.#admission.acceptFailed(error);
    // Half-open until the route is known: an alert must be sendable after the peer's FIN.
    const onSocket = (raw: Socket) => this.#listenerOnSocket(raw, group);
    const listener = await listenOn(address, { allowHalfOpen: true, onSocket, onAcceptError });
    const told = formatAddress(listener.address);
    this.#options.observer({ type: 'listening', purpose: 'front-door', address: told });
    return listener;
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#listeners.stop();
    const lastCall = setTimeout(() => {
      for (const raw of this.#arriving) raw.destroy();
    }, STOPPED_HANDSHAKE_MS);
    lastCall.unref();
  }

  drained(): Promise<void> {
    this.stop();
    return this.#listeners.drained();
  }

  close(): Promise<void> {
    this.stop();
    return this.#listeners.close((raw) => raw.destroy());
  }

  #tlsServers(): TlsServers {
    const certificates = this.#certificates();
    if (this.#tls?.certificates !== certificates) {
      const onSecure = (tlsSocket: TLSSocket) => this.#tlsServerOnSecure(tlsSocket);
      const onClientError = (error: NodeJS.ErrnoException) => this.#tlsServerOnClientError(error);
      this.#tls = new TlsServers(certificates, { onSecure, onClientError }, this.#tls);
    }
    return this.#tls;
  }

  #listenerOnSocket(raw: Socket, group: ListenerGroup): void {
    const remote = this.#admission.admit(raw);
    if (remote === null) return;
    const acceptedAt = performance.now();
    const arrival: Arrival = { raw, remote, acceptedAt, connection: null, deadline: undefined, failure: null };
    group.addSocket(raw);
    this.#arriving.add(raw);
    raw.once('close', () => this.#rawOnClose(arrival));
    peekClientHello(raw, { deadlineMs: this.#options.readTimeoutMs, budget: this.#budget }, (peeked) =>
      this.#peekOnEnd(arrival, peeked),
    );
  }

  /** Runs in the turn of the read that completed the hello; what takes the socket over must do so in this turn. */
  #peekOnEnd(arrival: Arrival, peeked: Peeked): void {
    const { raw, remote } = arrival;
    if (peeked.kind === 'closed') {
      raw.destroy();
      // Probes that connect and go (health checks of a load balancer) are no news.
      if (peeked.bytes === 0 || this.#stopped) return;
      const detail = `the visitor went away after ${peeked.bytes} bytes`;
      this.#admission.refused({ remote, reason: 'hello-invalid', detail, name: null });
    } else if (peeked.kind === 'refused') {
      sendAlert(raw, peeked.alert);
      const reason = REASON_OF_ALERT[peeked.alert] ?? 'hello-invalid';
      this.#admission.refused({ remote, reason, detail: `${peeked.problem} (alert ${peeked.alert})`, name: null });
    } else {
      this.#follow(arrival, helloRoute(peeked, this.#certificates()));
    }
  }

  #follow(arrival: Arrival, route: HelloRoute): void {
    if (route.kind === 'terminate') {
      this.#terminate(arrival, route.name, route.certificate);
    } else {
      sendAlert(arrival.raw, ALERT.unrecognizedName);
      const { reason, name } = route;
      const detail = `${route.detail} (alert ${ALERT.unrecognizedName})`;
      this.#admission.refused({ remote: arrival.remote, reason, detail, name });
    }
  }

  #terminate(arrival: Arrival, name: string | null, certificate: number): void {
    const { raw, remote, acceptedAt } = arrival;
    const timeoutMs = this.#options.readTimeoutMs || DEFAULT_HANDSHAKE_TIMEOUT_MS;
    const clientAuthorities = name === null ? null : this.#clientAuthorities(name, remote);
    arrival.connection = { raw, name, remote, acceptedAt, clientAuthorities, clientSubject: null };
    const left = Math.max(1, timeoutMs - (performance.now() - acceptedAt));
    arrival.deadline = setTimeout(() => {
      const detail = `no TLS handshake within ${timeoutMs} ms`;
      arrival.failure = { reason: 'hello-timeout', detail };
      raw.destroy();
    }, left);
    arrival.deadline.unref();
    // A TLSSocket copies it; with true, a FIN right after the hello would leave the connection open for ever.
    raw.allowHalfOpen = false;
    this.#arrivals.run(arrival, () => this.#tlsServers().of(certificate, clientAuthorities).emit('connection', raw));
  }

  #tlsServerOnSecure(tlsSocket: TLSSocket): void {
    tlsSocket.on('error', tlsSocketOnError);
    const arrival = this.#arrivals.getStore();
    const connection = arrival?.connection;
    if (arrival === undefined || connection === null || connection === undefined) {
      tlsSocket.destroy();
      return;
    }
    clearTimeout(arrival.deadline);
    arrival.connection = null;
    this.#arriving.delete(arrival.raw);
    keepRawSocket(tlsSocket, arrival.raw);
    const isAsked = connection.clientAuthorities !== null;
    this.#onVisitor(tlsSocket, isAsked ? { ...connection, clientSubject: clientSubject(tlsSocket) } : connection);
  }

  #tlsServerOnClientError(error: NodeJS.ErrnoException): void {
    const arrival = this.#arrivals.getStore();
    if (arrival !== undefined) arrival.failure ??= { reason: 'visitor-tls', detail: error.code ?? error.message };
  }

  #rawOnClose(arrival: Arrival): void {
    this.#arriving.delete(arrival.raw);
    clearTimeout(arrival.deadline);
    if (arrival.connection === null || this.#stopped) return;
    const failure = arrival.failure ?? { reason: 'visitor-tls', detail: 'the visitor went away during the handshake' };
    this.#admission.refused({ remote: arrival.remote, name: arrival.connection.name, ...failure });
  }
}

const REASON_OF_ALERT: Partial<Record<Alert, ErrorCode>> = {
  [ALERT.userCanceled]: 'hello-timeout',
  [ALERT.internalError]: 'connection-limit',
};

/** What an error means is told by `close`; without a listener a reset between two owners would end the process. */
function tlsSocketOnError(): void {}
