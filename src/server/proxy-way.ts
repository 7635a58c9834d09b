import type { Socket } from 'node:net';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import type { Carrier, CarrierSource } from '../core/dial.ts';
import type { BackdialError } from '../core/errors.ts';
import { BODY_RATE_WINDOW_MS } from '../net/forward.ts';
import { type Listener, listenOn } from '../net/listen.ts';
import type { ListenerGroup } from '../net/listener-group.ts';
import { ListenerSet, type WantedListener } from '../net/listener-set.ts';
import type { Admission } from './admission.ts';
import { proxyAnswer, unknownError } from './answers.ts';
import type { StreamDialer } from './byte-visits.ts';
import type { Certificates } from './certificates.ts';
import type { DomainStreams } from './domain-streams.ts';
import type { DomainTable } from './domain-table.ts';
import { ExchangeForwarder } from './exchange-forwarder.ts';
import { ExchangeRouter } from './exchange-router.ts';
import { Http1Visitors } from './http1-visitors.ts';
import { ProxyRouter } from './proxy-router.ts';
import { ProxyUsers, type ProxyUsersOptions } from './proxy-users.ts';
import type { Reached } from './reach.ts';
import type { ResolvedServerOptions } from './resolve-options.ts';
import { UpgradeJoiner } from './upgrade-joiner.ts';
import { UpstreamPools } from './upstream-pools.ts';
import type { Arrival, Visit } from './visit.ts';
import type { VisitorConnection } from './visitor.ts';
import type { AccessControl } from './visitor-access.ts';

/** The forward proxy: its own listener, and who may use it at the front door. */
export interface ProxyWay {
  /** Opens every listener of `options.proxy`; fails with `listen-failed`, and then none stays open. */
  listen(): Promise<SocketAddress[]>;
  /** Closes and opens listeners until they are those of `options.proxy`; visitors live on. Gives what could not be opened. */
  follow(): Promise<BackdialError[]>;
  /** To be called when options changed: takes over limits, and cuts what is granted no more. */
  refresh(): void;
  /** See {@link ProxyRouter.takes}. */
  takes(arrival: Arrival): Promise<boolean>;
  /** Stops accepting at once; what is idle closes, what is open lives on. Idempotent. */
  stop(): void;
  /** Stops, then resolves when the last visitor of the listeners has gone; cuts none. */
  drained(): Promise<void>;
  /** Stops, cuts everything, resolves when all have closed. Idempotent. */
  close(): Promise<void>;
}

export interface ProxyWayOptions extends Pick<ProxyUsersOptions, 'secrets' | 'logins'> {
  readonly options: ResolvedServerOptions;
  readonly domains: () => DomainTable;
  readonly certificates: () => Certificates;
  readonly access: Pick<AccessControl, 'of'>;
  readonly dialer: StreamDialer & CarrierSource & NamedPicker;
  readonly streams: DomainStreams;
  readonly admission: Admission;
}

/** Picks by a name as a dial resolves it: also `instance.domain`. */
export interface NamedPicker {
  pickNamed(name: string, except?: ReadonlySet<Carrier>): Carrier;
}

/** Makes the proxy; it does not listen yet. */
export function createProxyWay(options: ProxyWayOptions): ProxyWay {
  return new ForwardProxy(options);
}

class ForwardProxy implements ProxyWay {
  readonly #proxy: ProxyWayOptions;
  readonly #listeners = new ListenerSet();
  readonly #joiner = new UpgradeJoiner();
  readonly #router: ProxyRouter;
  readonly #http1: Http1Visitors;
  #stopped = false;

  constructor(proxy: ProxyWayOptions) {
    this.#proxy = proxy;
    const { options, domains, access, dialer, streams, admission, secrets, logins, certificates } = proxy;
    const joiner = this.#joiner;
    const users = new ProxyUsers({ options, domains, secrets, logins });
    const forwarder = new ExchangeForwarder({
      carriers: { pick: (name, except) => dialer.pickNamed(name, except) },
      pools: lonePools(),
      streams,
    });
    const exchanges = new ExchangeRouter({
      options,
      domains,
      carriers: dialer,
      access,
      certificates,
      forwarder,
      joiner,
      bodyRateWindowMs: BODY_RATE_WINDOW_MS,
      reach: (visit, host) => this.#reach(visit, host),
      hidden: (transaction) =>
        proxyAnswer(unknownError(), {
          serverName: options.name,
          transaction: options.transaction ? transaction : null,
        }),
    });
    const router = new ProxyRouter({ options, domains, access, dialer, streams, joiner, users, admission, exchanges });
    this.#router = router;
    const onService = () => Promise.resolve(false);
    this.#http1 = new Http1Visitors({
      options,
      router,
      onService,
      onPort: () => Promise.resolve(null),
      onGone: () => {},
    });
  }

  takes(arrival: Arrival): Promise<boolean> {
    return this.#router.takes(arrival);
  }

  async listen(): Promise<SocketAddress[]> {
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

  refresh(): void {
    this.#http1.refresh();
    this.#router.recheck();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#listeners.stop();
    this.#http1.drain();
  }

  drained(): Promise<void> {
    this.stop();
    return this.#listeners.drained();
  }

  close(): Promise<void> {
    this.stop();
    this.#joiner.cut();
    this.#http1.close();
    return this.#listeners.close((socket) => socket.resetAndDestroy());
  }

  #wanted(): WantedListener[] {
    return (this.#proxy.options.proxy?.listen ?? []).map((address) => ({
      key: formatAddress(address),
      listen: (group) => this.#open(address, group),
    }));
  }

  async #open(address: SocketAddress, group: ListenerGroup): Promise<Listener> {
    const { admission, options } = this.#proxy;
    const listener = await listenOn(address, {
      allowHalfOpen: true,
      onSocket: (socket) => this.#listenerOnSocket(socket, group),
      onAcceptError: (error) => admission.acceptFailed(error),
    });
    options.observer({ type: 'listening', purpose: 'proxy', address: formatAddress(listener.address) });
    return listener;
  }

  #listenerOnSocket(socket: Socket, group: ListenerGroup): void {
    socket.on('error', socketOnError);
    const remote = this.#proxy.admission.admit(socket);
    if (remote === null) return;
    group.addSocket(socket);
    const connection: VisitorConnection = {
      raw: socket,
      name: null,
      remote,
      acceptedAt: performance.now(),
      door: '',
      clientAuthorities: null,
      clientSubject: null,
    };
    this.#http1.accept(socket, connection);
  }

  /** By name as a dial resolves it. Whether it is served is seen when it is picked. */
  #reach({ remote }: Visit, host: string): Reached {
    const { domains, access } = this.#proxy;
    const policy = domains().resolve(host)?.policy ?? null;
    const forbidden = access.of(policy).refusal(remote);
    if (policy === null) return { refusal: domains().absence(host), policy: null };
    if (forbidden !== null) return { refusal: forbidden, policy: null };
    if (policy.clients.certificates !== null) return { refusal: 'certificate-refused', policy: null };
    return { refusal: null, policy };
  }
}

/** Streams of a proxy's requests lead to instances and ports: none is kept for another request. */
function lonePools(): Pick<UpstreamPools, 'take' | 'open' | 'openAlone' | 'carrierWithFree'> {
  const pools = new UpstreamPools();
  return {
    take: () => null,
    carrierWithFree: () => null,
    open: (wish) => pools.openAlone(wish),
    openAlone: (wish) => pools.openAlone(wish),
  };
}

/** What an error means is told by `close`; without a listener a reset would end the process. */
function socketOnError(): void {}
