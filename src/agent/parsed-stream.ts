import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TargetTimeouts } from '../core/dial.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import type { Observer, TunnelInfo } from '../core/events.ts';
import { errorAnswer } from '../net/error-answer.ts';
import { type ForwardResult, forward, type Switched } from '../net/forward.ts';
import type { RequestHead } from '../net/head-check.ts';
import { fieldValue } from '../net/header-rules.ts';
import type { Http1Exchange, Http1ExchangeOptions } from '../net/http1-exchange.ts';
import { resetDuplex } from '../net/reset.ts';
import { splice } from '../net/splice.ts';
import type { Upstream } from '../net/upstream.ts';
import type { StreamHead } from '../tunnel/types.ts';
import { planOf, readExchangeHead } from './exchange-head.ts';
import { endOfSplice } from './splice-end.ts';

export interface ParsedStreamOptions {
  readonly stream: Duplex;
  readonly head: StreamHead;
  readonly tunnel: TunnelInfo;
  /** The stream's own connection to the target. */
  readonly upstream: Upstream;
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

/** The exchanges of one stream, one after the other, over one connection to the target. */
export class ParsedStream {
  readonly #options: ParsedStreamOptions;
  #serving: Promise<void> | null = null;
  #exchange: Http1Exchange | null = null;

  constructor(options: ParsedStreamOptions) {
    this.#options = options;
    const { stream, upstream } = options;
    // An idle connection that the target ends is an idle stream that ends.
    upstream.onClosed = () => {
      if (this.#serving === null) stream.end();
    };
    stream.once('close', () => this.#streamOnClose());
  }

  /** Resolves when no exchange runs. */
  get over(): Promise<void> {
    return this.#serving ?? Promise.resolve();
  }

  /** `upgradable`: the stream can become another protocol's. */
  exchangeOptions(upgradable: boolean): Http1ExchangeOptions {
    return { writeMs: 0, upgradable, closing: () => upgradable || !this.#options.upstream.reusable };
  }

  /** Serves one exchange and tells of it, once. Never rejects. */
  async serve(request: IncomingMessage, exchange: Http1Exchange, upgradable: boolean): Promise<void> {
    this.#exchange = exchange;
    const serving = this.#serve(request, exchange, upgradable);
    this.#serving = serving;
    await serving;
    this.#serving = null;
    this.#exchange = null;
    const { stream, upstream } = this.#options;
    if (stream.destroyed) upstream.end();
    else if (upstream.closed && !stream.writableEnded) stream.end();
  }

  /**
   * A connection to the target ends with its stream. node:http does not tell of the end of a request that was answered
   * before it was complete, so the exchange is told here.
   */
  #streamOnClose(): void {
    const { stream, upstream } = this.#options;
    if (this.#exchange === null) upstream.end();
    else this.#exchange.lose(asBackdialError(stream.errored ?? new BackdialError('visitor-reset'), 'visitor-reset'));
  }

  async #serve(request: IncomingMessage, exchange: Http1Exchange, upgradable: boolean): Promise<void> {
    const start = Date.now();
    const began = performance.now();
    const { head: stream, tunnel, observer } = this.#options;
    const head = readExchangeHead(request);
    const end =
      typeof head === 'string'
        ? this.#answer(exchange, new BackdialError(head))
        : await this.#forward(exchange, head, upgradable);
    const forwardedFor = typeof head === 'string' ? null : fieldValue(head.headers, 'x-forwarded-for');
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
        // A kept-alive stream carries many visitors; the server's own word about this one is the last of the list.
        remote: forwardedFor?.split(',').at(-1)?.trim() ?? stream.client ?? tunnel.remote,
        ua: typeof head === 'string' ? null : head.userAgent,
        referer: typeof head === 'string' ? null : head.referer,
      },
    });
  }

  async #forward(exchange: Http1Exchange, head: RequestHead, upgradable: boolean): Promise<ExchangeEnd> {
    const { upstream, timeouts } = this.#options;
    const result = await forward(exchange, upstream, planOf(head, upgradable), timeouts);
    const { error, status, bytesIn, bytesOut, switched } = result;
    if (switched !== null) return this.#join(exchange, switched);
    if (error === null || !result.unanswered) return { error, status: status ?? statusOf(error), bytesIn, bytesOut };
    return this.#refuse(exchange, error, result);
  }

  /**
   * Nothing of a response came. A target that was lost before it said anything is told as on the spliced path, by a reset:
   * the server knows whether the request can be sent again. All else is answered here, for only this side knows.
   */
  #refuse(exchange: Http1Exchange, error: BackdialError, { heard, bytesIn }: ForwardResult): ExchangeEnd {
    if (error.code !== 'target-lost' || heard) return { ...this.#answer(exchange, error), bytesIn };
    exchange.abort(error);
    return { error, status: error.entry.status, bytesIn, bytesOut: 0 };
  }

  #answer(exchange: Http1Exchange, error: BackdialError): ExchangeEnd {
    const { status, headers, body } = errorAnswer(error, this.#options.tunnel.instance);
    if (exchange.gone === null) exchange.answer(status, headers, body, true);
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

function statusOf(error: BackdialError | null): number | null {
  return error?.entry.status ?? null;
}
