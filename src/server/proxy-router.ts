import type { Duplex } from 'node:stream';
import { formatPeer } from '../core/address.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import type { RequestHead } from '../net/head-check.ts';
import { resetDuplex } from '../net/reset.ts';
import { VisitorWatch } from '../net/visitor-watch.ts';
import type { Admission } from './admission.ts';
import { proxyAnswer } from './answers.ts';
import type { StreamDialer } from './byte-visits.ts';
import { dialDestination, type Resolve } from './destinations.ts';
import type { DomainStreams } from './domain-streams.ts';
import type { DomainTable } from './domain-table.ts';
import type { ExchangeRouter } from './exchange-router.ts';
import type { Holder } from './holder.ts';
import { OpenGrants } from './open-grants.ts';
import type { ProxyProof, ProxyUsers } from './proxy-users.ts';
import type { ResolvedDomain, ResolvedServerOptions } from './resolve-options.ts';
import type { UpgradeJoiner } from './upgrade-joiner.ts';
import { type Arrival, recordVisit, type Visit, type VisitEnd } from './visit.ts';
import type { AccessControl } from './visitor-access.ts';

export interface ProxyRouterOptions {
  readonly options: ResolvedServerOptions;
  readonly domains: () => DomainTable;
  readonly access: Pick<AccessControl, 'of'>;
  readonly dialer: StreamDialer;
  readonly streams: DomainStreams;
  readonly joiner: UpgradeJoiner;
  readonly users: ProxyUsers;
  /** Where refusals that only the log may tell are told. */
  readonly admission: Pick<Admission, 'refused'>;
  /** Takes absolute-form requests on to their domain. */
  readonly exchanges: Pick<ExchangeRouter, 'serve'>;
  /** Default: DNS as the system does it. */
  readonly resolve?: Resolve;
}

/** Under what somebody is served. */
interface Terms {
  /** Null: a visitor of the proxy's listener without an identity. */
  readonly holder: Holder | null;
  /** Aborted when the grant is gone; null: there is none that could go. */
  readonly cut: AbortSignal | null;
  /** Told which address of a destination was dialled, for a grant may be for addresses. */
  readonly onDestination?: (address: string) => void;
}

/** A CONNECT that may be served. */
interface Order extends Terms {
  readonly visit: Visit;
  readonly head: RequestHead;
}

/** A stream that was opened, and how it is given up. */
interface Opened {
  readonly stream: Duplex;
  readonly instance: string | null;
  readonly ended: AbortSignal | null;
  release(): void;
}

/** Requests that only a proxy can serve: who may make them, and where they lead (design, section 2). */
export class ProxyRouter {
  readonly #proxy: ProxyRouterOptions;
  /** What is open under grants. */
  readonly #open: OpenGrants;

  constructor(proxy: ProxyRouterOptions) {
    this.#proxy = proxy;
    this.#open = new OpenGrants(proxy.users);
  }

  /** Cuts what is open under a grant that is there no more; within 5 s. To be called when grants or domains changed. */
  recheck(): void {
    this.#open.recheck();
  }

  /**
   * At the front door: serves the request of who has proven an identity with a grant for it. False for everyone else, who
   * is answered as if there were no proxy (design 6.5); the log is told what was missing.
   */
  async takes(arrival: Arrival): Promise<boolean> {
    const { proxy, connection } = arrival;
    if (proxy === null || typeof proxy.head === 'string') return false;
    const { host, port } = proxy.head;
    const shown = this.#proxy.users.shown(proxy.authorizations, arrival.chain?.() ?? [], host);
    if (shown === null) return false;
    const refuse = (error: BackdialError): false => {
      const { remote } = connection;
      this.#proxy.admission.refused({ remote, reason: error.code, detail: error.message, name: host });
      return false;
    };
    try {
      const holder = await this.#proxy.users.identifyAt(connection.remote, shown);
      if (typeof holder === 'string') return refuse(new BackdialError(holder, 'at the front door, for a proxy'));
      const missing = this.#mayReach(holder, host, port);
      if (missing !== null) return refuse(new BackdialError('grant-missing', missing));
      await this.#serveUnderGrant({ ...arrival, way: 'connect' }, proxy.head, { shown, holder });
      return true;
    } catch (thrown) {
      return refuse(asBackdialError(thrown, 'internal'));
    }
  }

  /** At the proxy's own listener, which is itself the grant to all names for whoever may use it. */
  async serve(given: Arrival): Promise<void> {
    const arrival: Arrival = { ...given, way: 'proxy' };
    const { proxy, connection, head } = arrival;
    if (proxy === null || typeof proxy.head === 'string') {
      const code = typeof proxy?.head === 'string' ? proxy.head : typeof head === 'string' ? head : 'request-invalid';
      this.#end(arrival, this.#refuse(arrival, new BackdialError(code)));
      return;
    }
    let holder: Holder | null = null;
    try {
      const user = await this.#proxy.users.logIn(connection.remote, proxy.authorizations);
      if ('error' in user) {
        this.#end(arrival, this.#refuse(arrival, user.error, user.headers));
        return;
      }
      holder = user.holder;
    } catch (thrown) {
      this.#end(arrival, this.#refuse(arrival, asBackdialError(thrown, 'internal')));
      return;
    }
    const { head: asked } = proxy;
    // The listener is itself the grant to all names, not to destinations.
    const isDestination = holder !== null && this.#proxy.domains().resolve(asked.host) === null;
    const shown = isDestination ? this.#proxy.users.shown(proxy.authorizations, [], asked.host) : null;
    if (holder === null || shown === null) await this.#serve(arrival, asked, { holder, cut: null });
    else await this.#serveUnderGrant(arrival, asked, { shown, holder });
  }

  /** Cuts what it opens once its grant is gone. */
  async #serveUnderGrant(
    arrival: Arrival,
    head: RequestHead,
    { shown, holder }: { readonly shown: ProxyProof; readonly holder: Holder },
  ): Promise<void> {
    const { host, port } = head;
    let address: string | null = null;
    const isGranted = (who: Holder): boolean => this.#mayReach(who, host, port, address) === null;
    const controller = this.#open.add({ shown, holder, isGranted });
    const onDestination = (dialled: string): void => {
      address = dialled;
      // The grants may have changed while it was dialled.
      this.#open.recheckOne(controller);
    };
    try {
      await this.#serve(arrival, head, { holder, cut: controller.signal, onDestination });
    } finally {
      this.#open.remove(controller);
    }
  }

  /** An agent's handshake: there is none at the proxy's listener. */
  decline(arrival: Arrival): void {
    this.#end(arrival, this.#refuse({ ...arrival, way: 'proxy' }, new BackdialError('request-invalid')));
  }

  /** The grant that is missing, or null. `address`: of a destination, once it is known. */
  #mayReach(holder: Holder, host: string, port: number | null, address: string | null = null): string | null {
    const named = holder.mayConnect(host, port);
    if (named.granted) return null;
    if (port === null || this.#proxy.domains().resolve(host) !== null) return named.missing;
    const isGranted = holder.mayReachDestination(host, port, address).granted;
    return isGranted ? null : `${named.missing}, nor does one of \`destinations\``;
  }

  async #serve(arrival: Arrival, head: RequestHead, terms: Terms): Promise<void> {
    if (head.method !== 'CONNECT') {
      await this.#proxy.exchanges.serve({ ...arrival, head, proxy: null });
      return;
    }
    const { remote } = arrival.connection;
    const visit: Visit = { ...arrival, head, remote, forwardedFor: '' };
    let end: VisitEnd;
    try {
      end = await this.#connect({ visit, head, ...terms });
    } catch (thrown) {
      const error = arrival.exchange.gone ?? asBackdialError(thrown, 'internal');
      end = this.#refuse(visit, error);
    }
    this.#end(visit, end);
  }

  async #connect(order: Order): Promise<VisitEnd> {
    const { visit, head, cut } = order;
    const { exchange, transaction } = visit;
    const watch = new VisitorWatch(exchange);
    if (watch.error !== null) throw watch.error;
    const opened = await this.#openStream(order, watch.hold());
    const { transaction: tells } = this.#proxy.options;
    const visitor = exchange.upgrade('Connection established', tells ? ['X-Transaction-Id', transaction] : []);
    if (visitor === null) {
      resetDuplex(opened.stream, new BackdialError('visitor-reset'));
      opened.release();
      throw exchange.gone ?? new BackdialError('visitor-reset');
    }
    const signals = [opened.ended, cut].filter((signal) => signal !== null);
    const ended = signals.length === 0 ? null : AbortSignal.any(signals);
    const { error, bytesIn, bytesOut } = await this.#proxy.joiner.carry(visitor, opened.stream, ended);
    opened.release();
    const reason = cut?.aborted === true ? 'grant-missing' : (error?.code ?? 'done');
    const domain = this.#proxy.domains().resolve(head.host)?.domain ?? head.host;
    return { status: 200, reason, domain, instance: opened.instance, bytesIn, bytesOut };
  }

  async #openStream({ visit, head, holder, onDestination }: Order, signal: AbortSignal): Promise<Opened> {
    const { domains, access, dialer, streams, resolve } = this.#proxy;
    const { host, port } = head;
    const policy = domains().resolve(host)?.policy ?? null;
    const refusal = access.of(policy).refusal(visit.remote);
    if (policy === null) {
      if (holder === null || port === null) throw new BackdialError(domains().absence(host), host);
      const stream = await dialDestination(
        holder,
        { host, port },
        { signal, ...(resolve === undefined ? {} : { resolve }) },
      );
      if (stream.remoteAddress !== undefined) onDestination?.(stream.remoteAddress);
      return { stream, instance: null, ended: null, release: () => {} };
    }
    if (refusal !== null) throw new BackdialError(refusal, visit.remote);
    refuseUnaskable(policy, port);
    const { way, transaction, remote: client, connection } = visit;
    const arrivedAt = () => formatPeer(connection.raw.localAddress, connection.raw.localPort);
    if (!streams.tryEnter(policy, way)) await streams.wait(policy, way, signal);
    const release = () => streams.leave(policy, way);
    try {
      const name = port === null ? host : `${host}:${port}`;
      return { ...(await dialer.open(name, { way, transaction, client, arrivedAt, signal })), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Answers, if the visitor is still there to be answered. */
  #refuse(arrival: Arrival, error: BackdialError, more: readonly string[] = []): VisitEnd {
    const { exchange, transaction, proxy } = arrival;
    const { name: serverName, transaction: tells } = this.#proxy.options;
    const { status, headers, body } = proxyAnswer(error, { serverName, transaction: tells ? transaction : null });
    headers.push(...more);
    if (exchange.gone === null && !exchange.responded) exchange.answer(status, headers, body, true);
    const domain = proxy === null || typeof proxy.head === 'string' ? null : proxy.head.host;
    return { status, reason: error.code, domain, instance: null, bytesIn: 0, bytesOut: 0 };
  }

  #end(arrival: Arrival, end: VisitEnd): void {
    const { remote } = arrival.connection;
    recordVisit(this.#proxy.options.observer, { ...arrival, remote, forwardedFor: '' }, end);
  }
}

/** What only HTTP can ask for must not be gone round by a byte stream to the same targets. */
function refuseUnaskable({ clients }: ResolvedDomain, port: number | null): void {
  if (port !== null && port !== 80 && port !== 443) return;
  if (clients.certificates !== null) throw new BackdialError('login-impossible', '`clients.certificates`');
  if (clients.credentials.length > 0) throw new BackdialError('login-impossible', '`clients.credentials`');
}
