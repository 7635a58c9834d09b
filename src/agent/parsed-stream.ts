import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TargetTimeouts } from '../core/dial.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import type { Observer, TunnelInfo } from '../core/events.ts';
import { errorAnswer } from '../net/error-answer.ts';
import { type ForwardPlan, type ForwardResult, forward, isIdempotent, type Switched } from '../net/forward.ts';
import type { RequestHead } from '../net/head-check.ts';
import { fieldValue } from '../net/header-rules.ts';
import type { Http1Exchange } from '../net/http1-exchange.ts';
import { resetDuplex } from '../net/reset.ts';
import { splice } from '../net/splice.ts';
import { VisitorWatch } from '../net/visitor-watch.ts';
import type { StreamHead } from '../tunnel/types.ts';
import type { DomainTargets } from './domain-targets.ts';
import { planOf, readExchangeHead, visitorOf, withHost } from './exchange-head.ts';
import type { Route } from './route.ts';
import { endOfSplice } from './splice-end.ts';
import type { StreamTargets } from './stream-targets.ts';
import type { Lease } from './target-connections.ts';

export interface ParsedStreamOptions {
  readonly stream: Duplex;
  readonly head: StreamHead;
  readonly tunnel: TunnelInfo;
  readonly targets: DomainTargets;
  /** The stream's own view of them. */
  readonly own: StreamTargets;
  readonly connectTimeoutMs: number;
  /** Budgets of the target; kept here, where the exchanges are known. */
  readonly timeouts: TargetTimeouts;
  readonly observer: Observer;
}

/** How one exchange ended. */
interface ExchangeEnd {
  readonly error: BackdialError | null;
  readonly status: number | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/**
 * Exchanges of one stream at a time: the one that runs, and the next, which may come before this side knows that the last byte
 * of an answer was sent.
 */
const MAX_PENDING = 2;

/** The exchanges of one stream, one after the other, each to the target that its route gives it. */
export class ParsedStream {
  readonly #options: ParsedStreamOptions;
  #serving: Promise<void> | null = null;
  #pending = 0;
  #exchange: Http1Exchange | null = null;

  constructor(options: ParsedStreamOptions) {
    this.#options = options;
    options.stream.once('close', () => this.#streamOnClose());
  }

  /** Resolves when no exchange runs. */
  get over(): Promise<void> {
    return this.#serving ?? Promise.resolve();
  }

  /** Serves one exchange and tells of it, once. `upgradable`: the stream can become another protocol's. Never rejects. */
  async serve(request: IncomingMessage, exchange: Http1Exchange, upgradable: boolean): Promise<void> {
    const { stream } = this.#options;
    this.#pending += 1;
    // Each would take a connection to a target.
    if (this.#pending > MAX_PENDING) stream.destroy(new BackdialError('request-invalid', 'it came before the answer'));
    const serving = this.over.then(async () => {
      this.#exchange = exchange;
      if (stream.destroyed) this.#streamOnClose();
      await this.#serve(request, exchange, upgradable);
      this.#exchange = null;
      this.#pending -= 1;
    });
    this.#serving = serving;
    await serving;
    if (this.#serving === serving) this.#serving = null;
  }

  /** node:http does not tell of the end of a request that was answered before it was complete, so it is told here. */
  #streamOnClose(): void {
    const { errored } = this.#options.stream;
    this.#exchange?.lose(asBackdialError(errored ?? new BackdialError('visitor-reset'), 'visitor-reset'));
  }

  async #serve(request: IncomingMessage, exchange: Http1Exchange, upgradable: boolean): Promise<void> {
    const start = Date.now();
    const began = performance.now();
    const { head: stream, tunnel, observer } = this.#options;
    const head = readExchangeHead(request);
    const end =
      typeof head === 'string'
        ? this.#answer(exchange, new BackdialError(head), true)
        : await this.#route(exchange, head, upgradable);
    observer({
      type: 'access',
      record: {
        start,
        domain: tunnel.domain,
        instance: tunnel.instance,
        id: (typeof head === 'string' ? null : fieldValue(head.headers, 'x-transaction-id')) ?? stream.transaction,
        way: stream.way,
        method: request.method ?? '',
        path: request.url ?? '',
        status: end.status,
        reason: end.error?.code ?? 'done',
        in: end.bytesIn,
        out: end.bytesOut,
        durationMs: Math.round(performance.now() - began),
        // A kept-alive stream carries many visitors.
        remote: visitorOf(request) ?? stream.client ?? tunnel.remote,
        ua: typeof head === 'string' ? null : head.userAgent,
        referer: typeof head === 'string' ? null : head.referer,
      },
    });
  }

  async #route(exchange: Http1Exchange, head: RequestHead, upgradable: boolean): Promise<ExchangeEnd> {
    let plan: ForwardPlan;
    let result: ForwardResult;
    try {
      const { route, target } = this.#options.targets.routeOf(head);
      plan = planOf(head, { target, upgradable });
      result = await this.#forward(exchange, route, plan);
    } catch (thrown) {
      const error = exchange.gone ?? asBackdialError(thrown, 'internal');
      return this.#answer(exchange, error, !isBodyless(head));
    }
    const { error, status, bytesIn, bytesOut, switched } = result;
    if (switched !== null) return this.#join(exchange, switched);
    if (error === null || !result.unanswered) return { error, status: status ?? statusOf(error), bytesIn, bytesOut };
    return this.#refuse(exchange, error, result);
  }

  /**
   * Sends the exchange to a target, once more where only a connection was at fault that had been kept alive, or the target
   * says that it did nothing with it. Fails where no connection can be had.
   */
  async #forward(exchange: Http1Exchange, route: Route, plan: ForwardPlan): Promise<ForwardResult> {
    const { timeouts, own, connectTimeoutMs } = this.#options;
    const { method, upgrade } = plan.request;
    const repeatable = isIdempotent(method) && isBodyless(plan.request);
    const attempt = async (fresh: boolean): Promise<{ lease: Lease; result: ForwardResult }> => {
      const watch = new VisitorWatch(exchange);
      const signal = watch.hold();
      const { lease, host } = await route.group.open(async (member) => {
        const connections = own.connectionsTo(member, route.proxyProtocol);
        const bounds = { timeoutMs: connectTimeoutMs, signal };
        return {
          lease: await connections.lease({ upgrade, repeatable, fresh }, bounds),
          host: route.hostFor(member.target),
        };
      }, signal);
      const result = await new Promise<ForwardResult>((resolve) => {
        forward(exchange, lease.requester, withHost(plan, host), timeouts, resolve);
      });
      return { lease, result };
    };
    const { lease, result } = await attempt(false);
    const { error, heard, unanswered } = result;
    if (error === null || heard || !unanswered || !isBodyless(plan.request)) return result;
    const isStale = error.code === 'target-lost' && lease.reused && repeatable;
    return isStale || lease.requester.refused ? (await attempt(true)).result : result;
  }

  /**
   * Nothing of a response came. A target that was lost before it said anything is told as on the spliced path, by a reset:
   * the server knows whether the request can be sent again. All else is answered here, for only this side knows.
   */
  #refuse(exchange: Http1Exchange, error: BackdialError, { heard, bytesIn }: ForwardResult): ExchangeEnd {
    if (error.code !== 'target-lost' || heard) return { ...this.#answer(exchange, error, true), bytesIn };
    exchange.abort(error);
    return { error, status: error.entry.status, bytesIn, bytesOut: 0 };
  }

  /** `close`: the rest of the request, which may still be on its way, is not waited for. */
  #answer(exchange: Http1Exchange, error: BackdialError, close: boolean): ExchangeEnd {
    const { status, headers, body } = errorAnswer(error, this.#options.tunnel.instance);
    if (exchange.gone === null) exchange.answer(status, headers, body, close);
    return { error, status, bytesIn: 0, bytesOut: 0 };
  }

  /** The target switched protocols; whether to the right one is the server's to judge. No time-out applies any more. */
  async #join(exchange: Http1Exchange, { head, stream: target }: Switched): Promise<ExchangeEnd> {
    const fields = [...head.headers, 'Connection', 'Upgrade', 'Upgrade', head.upgrade ?? ''];
    const stream = exchange.upgrade(head.reason, fields);
    if (stream === null) {
      const error = exchange.gone ?? new BackdialError('visitor-reset');
      resetDuplex(target, error);
      return { error, status: head.status, bytesIn: 0, bytesOut: 0 };
    }
    const result = await splice(stream, target);
    const code = endOfSplice(result);
    const error = code === 'done' ? null : new BackdialError(code);
    return { error, status: head.status, bytesIn: result.bytesAToB, bytesOut: result.bytesBToA };
  }
}

function isBodyless({ framing }: Pick<RequestHead, 'framing'>): boolean {
  return framing === 'none' || framing === 0;
}

function statusOf(error: BackdialError | null): number | null {
  return error?.entry.status ?? null;
}
