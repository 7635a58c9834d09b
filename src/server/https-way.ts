import type { TLSSocket } from 'node:tls';
import type { CarrierSource } from '../core/dial.ts';
import { BODY_RATE_WINDOW_MS } from '../net/forward.ts';
import { keepRawSocket } from '../net/reset.ts';
import { Certificates } from './certificates.ts';
import { DomainStreams } from './domain-streams.ts';
import type { DomainTable } from './domain-table.ts';
import { ExchangeForwarder } from './exchange-forwarder.ts';
import { ExchangeRouter, type RouterOptions } from './exchange-router.ts';
import { type FirstTunnels, firstTunnelsOf } from './first-tunnels.ts';
import { Http1Visitors, type PortHandler, type ServiceHandler } from './http1-visitors.ts';
import { Http2Visitors } from './http2-visitors.ts';
import type { ResolvedServerOptions } from './resolve-options.ts';
import { UpgradeJoiner } from './upgrade-joiner.ts';
import { UpstreamPools } from './upstream-pools.ts';
import type { VisitorConnection } from './visitor.ts';
import type { AccessControl } from './visitor-access.ts';

/** What the HTTPS way in needs. */
export interface HttpsWayOptions {
  readonly options: ResolvedServerOptions;
  readonly domains: () => DomainTable;
  readonly carriers: CarrierSource;
  readonly access: Pick<AccessControl, 'of'>;
  /**
   * Gets each HTTP/1.1 request for `options.service` that asks for `ptth` or `h2c-reverse`. The socket is the handler's
   * when it resolves to true; false: the answer is that of a path which nobody serves.
   */
  readonly onService: ServiceHandler;
  /** Gets each HTTP/1.1 request for a port of the service path. Default: nobody may ask for one. */
  readonly onPort?: PortHandler;
  /** Places of each domain, shared with the other ways in. Default: of its own. */
  readonly streams?: DomainStreams;
  /** See {@link RouterOptions.isSpare}. Default: no connection is. */
  readonly isSpare?: RouterOptions['isSpare'];
  /** See {@link RouterOptions.proxy}. Default: there is none. */
  readonly proxy?: RouterOptions['proxy'];
  /** Those that a front door presents now. Default: those of `options`, for ever. */
  readonly certificates?: (door: string) => Certificates;
  /** Deadlines that no user sets; tests make them shorter. */
  readonly internals?: Partial<HttpsWayInternals>;
}

export interface HttpsWayInternals {
  /** Over how long a request's body must keep its least rate, ms. */
  readonly bodyRateWindowMs: number;
  /** How long a place in a full domain is waited for, ms. */
  readonly maxWaitMs: number;
  /** How long a visitor of a server with sockets that it was handed waits for the first tunnels, ms. */
  readonly firstTunnelsMs: number;
}

/** HTTPS visitors: HTTP/1.1 and HTTP/2 in, HTTP/1.1 over kept-alive streams out (design, section 2). */
export interface HttpsWay {
  /** Takes a connection after its TLS handshake; owns the socket from then on. */
  accept(tlsSocket: TLSSocket, connection: VisitorConnection): void;
  /** Takes over those of `options` of which Node keeps copies; for connections to come. */
  refresh(): void;
  /** Ends a free stream of one of these domains, and of this instance if one is named; false where there is none. */
  makeRoom(domains: readonly string[], instance: string | null): boolean;
  /**
   * Begins the last call: whoever asks from now on is answered, and told that it was the last answer there, so that nothing is
   * sent on a connection that is about to close. HTTP/2 needs no such word: its GOAWAY says which requests it came too late for.
   */
  stop(): void;
  /** Closes what is idle at once; the rest ends with the answers that it waits for. Idempotent. */
  drain(): void;
  /** Drains, cuts what is left, resolves when all is closed. Idempotent. */
  close(): Promise<void>;
  /** Visitors' connections that are open. */
  readonly connectionCount: number;
  /** Of these: those that came just now and have not asked for anything. */
  readonly newcomers: number;
}

/** Makes the way in; it listens nowhere, the front door hands it connections. */
export function createHttpsWay(given: HttpsWayOptions): HttpsWay {
  return new TerminatedHttps(given);
}

class TerminatedHttps implements HttpsWay {
  readonly #http1: Http1Visitors;
  readonly #http2: Http2Visitors;
  readonly #joiner = new UpgradeJoiner();
  readonly #pools = new UpstreamPools();
  readonly #firstTunnels: FirstTunnels;
  readonly #open = new Set<VisitorConnection>();
  #draining = false;
  #closing = false;
  #onEmpty: (() => void)[] = [];

  constructor(given: HttpsWayOptions) {
    const {
      options,
      domains,
      carriers,
      access,
      onService,
      onPort = nobody,
      certificates,
      streams: shared,
      internals = {},
    } = given;
    const { bodyRateWindowMs = BODY_RATE_WINDOW_MS, maxWaitMs } = internals;
    this.#firstTunnels = firstTunnelsOf(options, internals.firstTunnelsMs);
    const streams = shared ?? new DomainStreams(maxWaitMs);
    const waits = maxWaitMs === undefined ? {} : { maxWaitMs };
    const forwarder = new ExchangeForwarder({ carriers, pools: this.#pools, streams, ...waits });
    const own = certificates === undefined ? new Certificates(options.certificates) : null;
    const joiner = this.#joiner;
    const router = new ExchangeRouter({
      options,
      domains,
      carriers,
      access,
      certificates: certificates ?? (() => own as Certificates),
      forwarder,
      joiner,
      firstTunnels: this.#firstTunnels,
      bodyRateWindowMs,
      ...(given.proxy === undefined ? {} : { proxy: given.proxy }),
      ...(given.isSpare === undefined ? {} : { isSpare: given.isSpare }),
    });
    const onGone = (connection: VisitorConnection): void => this.#forget(connection);
    this.#http1 = new Http1Visitors({ options, router, onService, onPort, onGone });
    this.#http2 = new Http2Visitors({ options, router, onGone });
  }

  get connectionCount(): number {
    return this.#open.size;
  }

  accept(tlsSocket: TLSSocket, connection: VisitorConnection): void {
    tlsSocket.on('error', tlsSocketOnError);
    if (tlsSocket.destroyed || this.#closing) {
      tlsSocket.destroy();
      return;
    }
    keepRawSocket(tlsSocket, connection.raw);
    this.#open.add(connection);
    const visitors = tlsSocket.alpnProtocol === 'h2' ? this.#http2 : this.#http1;
    visitors.accept(tlsSocket, connection);
  }

  refresh(): void {
    this.#http1.refresh();
    this.#http2.refresh();
  }

  makeRoom(domains: readonly string[], instance: string | null): boolean {
    return this.#pools.endFree(domains, instance);
  }

  get newcomers(): number {
    return this.#http1.newcomers + this.#http2.newcomers;
  }

  stop(): void {
    this.#firstTunnels.end();
    this.#http1.stop();
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#firstTunnels.end();
    this.#http1.drain();
    this.#http2.drain();
  }

  close(): Promise<void> {
    this.drain();
    this.#closing = true;
    this.#joiner.cut();
    this.#http1.close();
    this.#http2.close();
    return new Promise((resolve) => {
      if (this.#open.size === 0) resolve();
      else this.#onEmpty.push(resolve);
    });
  }

  #forget(connection: VisitorConnection): void {
    this.#open.delete(connection);
    this.#pools.forget(connection);
    if (this.#open.size > 0) return;
    for (const resolve of this.#onEmpty.splice(0)) resolve();
  }
}

const nobody: PortHandler = () => Promise.resolve(null);

/** What an error means is told by `close`; without a listener a reset would end the process. */
function tlsSocketOnError(): void {}
