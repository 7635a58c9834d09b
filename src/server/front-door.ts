import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { formatAddress, type ListenAddress, type SocketAddress } from '../core/address.ts';
import type { BackdialError, ErrorCode } from '../core/errors.ts';
import { ALERT, type Alert, sendAlert } from '../net/alert.ts';
import type { ClientHello } from '../net/client-hello.ts';
import { type Listener, type ListenOptions, listenOn } from '../net/listen.ts';
import type { ListenerGroup } from '../net/listener-group.ts';
import { ListenerSet, type WantedListener } from '../net/listener-set.ts';
import { type PeekBudget, type Peeked, peekClientHello } from '../net/peek.ts';
import { Admission } from './admission.ts';
import type { Certificates } from './certificates.ts';
import { authoritiesIn } from './client-authorities.ts';
import type { DomainTable } from './domain-table.ts';
import { DoorCertificates } from './door-certificates.ts';
import { type FirstTunnels, firstTunnelsOf, routeInTime } from './first-tunnels.ts';
import type { HelloRoute } from './hello-route.ts';
import { isNewcomer } from './last-call.ts';
import { wantedListeners } from './listeners.ts';
import { findVisitor } from './proxied-visitor.ts';
import type { ResolvedServerOptions } from './resolve-options.ts';
import { TlsTerminator } from './tls-terminator.ts';
import type { TlsWay } from './tls-way.ts';
import { UncoveredDomains } from './uncovered-domains.ts';
import { timeLeft, type VisitorConnection } from './visitor.ts';

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
  /** Connections that came just now and are before the end of their handshake. */
  readonly newcomers: number;
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
  /** What becomes of a connection, by its hello, the visitor's address (`ip:port`) and what its front door presents. */
  route(hello: ClientHello, remote: string, certificates: Certificates): HelloRoute;
  /** Gets, in the turn of their hello, the connections whose TLS passes through. */
  readonly passthrough: Pick<TlsWay, 'pass' | 'passToHost' | 'refuse'>;
  /** Gets each connection after its TLS handshake; the socket has an `error` listener and is the callee's from then on. */
  onVisitor(tlsSocket: TLSSocket, connection: VisitorConnection): void;
  /**
   * PEM of the authorities (revocation lists are left out) one of which must have issued the certificate that a visitor (`ip:port`) of this name (SNI,
   * canonical) is asked for; null for none. Default: nobody is asked.
   */
  readonly clientAuthorities?: (name: string, remote: string) => string | null;
  /** Shared with the other listeners. Default: one of its own, with the limits of `options`. */
  readonly admission?: Admission;
  /** What each listener presents now; asked at every connection. Default: as `options` have it, for ever. */
  readonly doors?: () => DoorCertificates;
}

/** Checks the certificates (`config-invalid`) and makes a front door that does not listen yet. */
export function createFrontDoor(options: FrontDoorOptions): FrontDoor {
  return new TlsFrontDoor(options);
}

/** What unfinished ClientHellos may hold, all together. */
const PEEK_BUDGET_BYTES = 67_108_864;
/** What is left for a handshake once the front door has stopped. */
const STOPPED_HANDSHAKE_MS = 1_000;

/** A connection from accept to its hello. */
interface Arrival {
  readonly raw: Socket;
  /** The visitor; the proxy, until its header was read. */
  readonly remote: string;
  readonly acceptedAt: number;
  /** Key of the listener. */
  readonly door: string;
}

class TlsFrontDoor implements FrontDoor {
  readonly #given: Required<Pick<FrontDoorOptions, 'route' | 'passthrough' | 'onVisitor' | 'clientAuthorities'>>;
  readonly #options: ResolvedServerOptions;
  readonly #domains: () => DomainTable;
  readonly #admission: Admission;
  readonly #doors: () => DoorCertificates;
  readonly #firstTunnels: FirstTunnels;
  /** By listener; null: of all that present the server's certificates, so that a session of one is resumed at another. */
  readonly #terminators = new Map<string | null, TlsTerminator>();
  readonly #budget: PeekBudget = { remaining: PEEK_BUDGET_BYTES };
  readonly #listeners = new ListenerSet();
  readonly #uncovered: UncoveredDomains;
  /** Connections that are before the end of their handshake. */
  readonly #arriving = new Map<Socket, Arrival>();
  #stopped = false;

  constructor(given: FrontDoorOptions) {
    const { options, domains, admission, doors } = given;
    this.#given = { clientAuthorities: () => null, ...given };
    this.#firstTunnels = firstTunnelsOf(options);
    this.#options = options;
    this.#domains = domains;
    this.#admission = admission ?? new Admission(options);
    this.#uncovered = new UncoveredDomains(options.observer);
    const own = doors === undefined ? new DoorCertificates(options) : null;
    this.#doors = doors ?? (() => own as DoorCertificates);
  }

  get addresses(): readonly SocketAddress[] {
    return this.#listeners.addresses;
  }

  get connectionCount(): number {
    return this.#listeners.size;
  }

  get newcomers(): number {
    return Array.from(this.#arriving.values()).filter(isNewcomer).length;
  }

  warnOfUncovered(): void {
    this.#uncovered.check(this.#domains(), this.#doors());
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
    const { listen, sockets } = this.#options;
    const keys = new Set(listen.map(({ key }) => key));
    for (const key of this.#terminators.keys()) if (key !== null && !keys.has(key)) this.#terminators.delete(key);
    return listen.flatMap(({ key: door, address, mode, owner }) => {
      // A file's permissions are decided when it is made.
      const key = mode === null && owner === null ? door : `${door} ${mode} ${owner?.uid}:${owner?.gid}`;
      return wantedListeners({ key, address }, sockets, (place, group) =>
        this.#open(place, { mode, owner, onSocket: (raw) => this.#listenerOnSocket(raw, door, group) }),
      );
    });
  }

  async #open(place: ListenAddress, options: Pick<ListenOptions, 'mode' | 'owner' | 'onSocket'>): Promise<Listener> {
    const onAcceptError = (error: Error) => this.#admission.acceptFailed(error);
    // Half-open until the route is known: an alert must be sendable after the peer's FIN.
    const listener = await listenOn(place, { ...options, allowHalfOpen: true, onAcceptError });
    const told = formatAddress(listener.address);
    this.#options.observer({ type: 'listening', purpose: 'front-door', address: told });
    return listener;
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#firstTunnels.end();
    this.#listeners.stop();
    const lastCall = setTimeout(() => {
      for (const raw of this.#arriving.keys()) raw.destroy();
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

  #listenerOnSocket(raw: Socket, door: string, group: ListenerGroup): void {
    const listener = this.#options.listen.find(({ key }) => key === door);
    const isProxied = listener !== undefined && listener.proxyProtocol.length > 0;
    const remote = isProxied ? this.#admission.admitProxy(raw) : this.#admission.admitToDoor(raw);
    if (remote === null) return;
    const arrival: Arrival = { raw, remote, acceptedAt: performance.now(), door };
    group.addSocket(raw);
    this.#arriving.set(raw, arrival);
    raw.once('close', () => this.#arriving.delete(raw));
    const deadlineMs = this.#options.readTimeoutMs;
    if (!isProxied) this.#peek(arrival);
    else {
      findVisitor({ raw, proxy: remote, listener, deadlineMs }, this.#admission, (visitor) => {
        this.#peek({ ...arrival, remote: visitor });
        raw.resume();
      });
    }
  }

  #peek(arrival: Arrival): void {
    const deadlineMs = timeLeft(arrival, this.#options.readTimeoutMs);
    peekClientHello(arrival.raw, { deadlineMs, budget: this.#budget }, (peeked) => this.#peekOnEnd(arrival, peeked));
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
      // An agent's handshake is an HTTP/1.1 upgrade: no visitor's browser is without ALPN, and whoever is, is asked, whatever the
      // name and the configuration are, so that the question tells nothing (design 6.5).
      const asksAgents = peeked.alpn.length === 0;
      const offersHttp2 = peeked.alpn.includes('h2');
      const route = () => this.#given.route(peeked, remote, this.#doors().of(arrival.door));
      routeInTime(this.#firstTunnels, raw, route, (found) => {
        this.#follow({ ...arrival, asksAgents, offersHttp2 }, found);
      });
    }
  }

  #follow(arrival: Arrival & { readonly asksAgents: boolean; readonly offersHttp2: boolean }, route: HelloRoute): void {
    const { raw: socket, remote } = arrival;
    const { passthrough } = this.#given;
    if (this.#admission.isSpare(socket) && (route.kind !== 'terminate' || arrival.offersHttp2)) {
      sendAlert(socket, ALERT.internalError);
      const detail = `only agents are let in now (alert ${ALERT.internalError})`;
      this.#admission.refused({ remote, reason: 'connection-limit', detail, name: route.name });
      return;
    }
    if (route.kind === 'terminate') {
      this.#terminate(arrival, route.name, route.certificate);
      return;
    }
    this.#arriving.delete(socket);
    if (route.kind === 'refuse') {
      sendAlert(socket, ALERT.unrecognizedName);
      const { reason, name } = route;
      const detail = `${route.detail} (alert ${ALERT.unrecognizedName})`;
      this.#admission.refused({ remote, reason, detail, name });
      return;
    }
    const visitor = { socket, remote, name: route.name };
    if (route.kind === 'passthrough') passthrough.pass(visitor, route.policy);
    else if (route.kind === 'host') passthrough.passToHost(visitor, route.host);
    else passthrough.refuse(visitor, route.policy, route.reason);
  }

  #terminate(arrival: Arrival & { readonly asksAgents: boolean }, name: string | null, certificate: number): void {
    const clientAuthorities = name === null ? null : authoritiesIn(this.#given.clientAuthorities(name, arrival.remote));
    const certificates = this.#doors().of(arrival.door);
    const handshake = { ...arrival, name, certificates, certificate, clientAuthorities };
    this.#terminatorOf(arrival.door).start(handshake, this.#options.readTimeoutMs);
  }

  #terminatorOf(door: string): TlsTerminator {
    const key = this.#doors().hasOwn(door) ? door : null;
    const known = this.#terminators.get(key);
    if (known !== undefined) return known;
    const made = new TlsTerminator({
      onVisitor: (tlsSocket, connection) => {
        this.#arriving.delete(connection.raw);
        this.#given.onVisitor(tlsSocket, connection);
      },
      onFailure: ({ remote, name }, failure) => {
        if (!this.#stopped) this.#admission.refused({ remote, name, ...failure });
      },
    });
    this.#terminators.set(key, made);
    return made;
  }
}

const REASON_OF_ALERT: Partial<Record<Alert, ErrorCode>> = {
  [ALERT.userCanceled]: 'hello-timeout',
  [ALERT.internalError]: 'connection-limit',
};
