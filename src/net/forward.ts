import type { Duplex } from 'node:stream';
import { BackdialError } from '../core/errors.ts';
import { Deadline } from './deadline.ts';
import type { Exchange, ExchangeHandler } from './exchange.ts';
import type { Framing } from './head-check.ts';
import { cleanTrailers, fieldValue, type HeaderRules, removeNamed } from './header-rules.ts';
import type { ResponseHead } from './http1-response-head.ts';
import type { Requester, UpstreamHandler, UpstreamRequest } from './upstream-handler.ts';

/** Slower than this is an attack, or a visitor that is gone without a word (features 2.9). */
export const MIN_BODY_BYTES_PER_SECOND = 1_024;
/** Over how long the rate of a body is judged. */
export const BODY_RATE_WINDOW_MS = 30_000;

/** What an exchange needs to be forwarded, once its request was accepted. */
export interface ForwardPlan {
  readonly request: UpstreamRequest;
  /** Largest body, bytes; 0: no limit. */
  readonly maxBodyBytes: number;
  /** Over how long a body must bring {@link MIN_BODY_BYTES_PER_SECOND}, ms. Default {@link BODY_RATE_WINDOW_MS}; 0: never judged. */
  readonly bodyRateWindowMs?: number;
  /** `Expect: 100-continue` was said: the wait for the response begins with the head. */
  readonly expectsContinue: boolean;
  /** `[name, value, ...]` that the response gets, instead of fields of these names that the target sent. */
  readonly responseHeaders: readonly string[];
  /** What may pass in trailers of both directions. */
  readonly requestRules: HeaderRules;
  readonly responseRules: HeaderRules;
}

/** Budgets of the target, ms; 0: none. */
export interface ForwardBudgets {
  readonly readMs: number;
  readonly writeMs: number;
}

/** How one attempt to forward an exchange ended. */
export interface ForwardResult {
  /** Null: the response was handed over in full. */
  readonly error: BackdialError | null;
  /** True while the visitor has seen nothing of a response, so that another attempt or an answer of our own can follow. */
  readonly unanswered: boolean;
  /** The response's status; null when none came. */
  readonly status: number | null;
  /** An interim or the final head came: the target has seen the request. */
  readonly heard: boolean;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** The target switched protocols, as it was asked to: its 101, and the stream from the first byte behind it, paused. */
  readonly switched: Switched | null;
}

/** A target's 101 and what follows it. The stream is the caller's, with an `error` listener. */
export interface Switched {
  readonly head: ResponseHead;
  readonly stream: Duplex;
}

const METHODS_SAFE_TO_REPEAT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** RFC 9110, section 9.2.2: the same request twice does what it does once. */
export function isIdempotent(method: string): boolean {
  return METHODS_SAFE_TO_REPEAT.has(method);
}

/**
 * Runs one exchange over one connection: request head and body there, interim responses, head, body and trailers back,
 * with back-pressure both ways. A cut on one side is a cut on the other. `onEnd` is told once, which may be before this
 * returns: a promise for each request is what a request can do without.
 */
export function forward(
  exchange: Exchange,
  upstream: Requester,
  plan: ForwardPlan,
  budgets: ForwardBudgets,
  onEnd: (result: ForwardResult) => void,
): void {
  new Forward(exchange, upstream, plan, onEnd).start(budgets);
}

class Forward implements ExchangeHandler, UpstreamHandler {
  readonly #exchange: Exchange;
  readonly #upstream: Requester;
  readonly #plan: ForwardPlan;
  readonly #onEnd: (result: ForwardResult) => void;
  #rateDeadline: Deadline | null = null;
  #rateBytes = 0;
  /** The target holds the body back. */
  #holding = false;
  /** It did so at some time since the window began: the rate says nothing of the visitor. */
  #held = false;
  #status: number | null = null;
  #heard = false;
  #bytesIn = 0;
  #bytesOut = 0;
  /** Content-Length of the response's body; -1 where it is not known. */
  #length = -1;
  #last: Buffer | null = null;
  #expected: Framing;
  #requestDone: boolean;
  #responseDone = false;
  #handedOver = false;
  #switched: Switched | null = null;
  #settled = false;

  constructor(exchange: Exchange, upstream: Requester, plan: ForwardPlan, onEnd: (result: ForwardResult) => void) {
    this.#exchange = exchange;
    this.#upstream = upstream;
    this.#plan = plan;
    this.#onEnd = onEnd;
    this.#expected = plan.request.framing;
    this.#requestDone = this.#expected === 'none' || this.#expected === 0;
  }

  start(budgets: ForwardBudgets): void {
    const { request, expectsContinue } = this.#plan;
    this.#exchange.handler = this;
    if (this.#exchange.gone !== null) {
      this.exchangeGone(this.#exchange.gone);
      return;
    }
    this.#upstream.start(request, this, budgets.readMs, budgets.writeMs);
    if (this.#requestDone || this.#settled) return;
    if (expectsContinue) this.#upstream.awaitResponse();
    else this.#watchRate();
    this.#exchange.startBody();
  }

  exchangeData(chunk: Buffer): void {
    if (this.#settled || this.#requestDone) return;
    this.#bytesIn += chunk.length;
    this.#rateBytes += chunk.length;
    const { maxBodyBytes } = this.#plan;
    if (maxBodyBytes > 0 && this.#bytesIn > maxBodyBytes) {
      this.#fail(new BackdialError('body-too-large', `more than ${maxBodyBytes} bytes`));
      return;
    }
    if (typeof this.#expected === 'number' && this.#bytesIn > this.#expected) {
      this.#fail(new BackdialError('request-invalid', 'the body is longer than its Content-Length'));
      return;
    }
    if (!this.#upstream.write(chunk)) {
      this.#holding = true;
      this.#held = true;
      this.#exchange.pauseBody();
    }
  }

  exchangeBodyEnd(trailers: string[]): void {
    if (this.#settled || this.#requestDone) return;
    if (typeof this.#expected === 'number' && this.#bytesIn !== this.#expected) {
      this.#fail(new BackdialError('request-invalid', 'the body is shorter than its Content-Length'));
      return;
    }
    this.#endRequest();
    this.#upstream.finish(cleanTrailers(trailers, this.#plan.requestRules));
    this.#settleWhenDone();
  }

  exchangeDrain(): void {
    if (!this.#responseDone) this.#upstream.resume();
  }

  exchangeDone(): void {
    this.#handedOver = true;
    this.#settleWhenDone();
  }

  exchangeBroken(error: BackdialError): void {
    this.#fail(error);
  }

  exchangeGone(error: BackdialError): void {
    if (this.#settled) return;
    if (!(this.#responseDone && this.#requestDone)) this.#upstream.fail(error);
    // A visitor that took the whole response and then left owes nobody the rest of its request.
    this.#settle(this.#handedOver ? null : error);
  }

  upstreamInterim(head: ResponseHead): void {
    this.#heard = true;
    if (head.status === 100 && !this.#requestDone) this.#watchRate();
    this.#exchange.inform(head.status, head.headers);
  }

  upstreamHead(head: ResponseHead): void {
    this.#heard = true;
    this.#status = head.status;
    // Who has its response keeps nobody waiting: from here on both directions go at their own pace (gRPC, long uploads).
    this.#rateDeadline?.close();
    this.#rateDeadline = null;
    if (head.status === 101) {
      this.#switched = { head, stream: this.#upstream.release() };
      this.#settle(null);
      return;
    }
    if (typeof head.framing === 'number') this.#length = head.framing;
    const headers = withFields(head.headers, this.#plan.responseHeaders);
    this.#exchange.respond(head.status, head.reason, headers, head.framing);
  }

  upstreamData(data: Buffer): void {
    if (this.#settled) return;
    this.#bytesOut += data.length;
    // The end follows in this very turn: both go in one piece.
    if (this.#bytesOut === this.#length) this.#last = data;
    else if (!this.#exchange.write(data)) this.#upstream.pause();
  }

  upstreamEnd(trailers: string[]): void {
    if (this.#settled) return;
    this.#responseDone = true;
    // A whole answer may come early; the rest of the request still goes its way, but not at the pace of an attack.
    if (!this.#requestDone) this.#watchRate();
    this.#exchange.end(cleanTrailers(trailers, this.#plan.responseRules), this.#last);
    this.#settleWhenDone();
  }

  upstreamDrain(): void {
    this.#holding = false;
    if (!this.#requestDone) this.#exchange.resumeBody();
  }

  upstreamFailed(error: BackdialError): void {
    if (this.#responseDone) {
      // The response is whole; only the target's interest in the rest of the request ended.
      this.#endRequest();
      this.#exchange.discardBody();
      this.#settleWhenDone();
      return;
    }
    this.#fail(error);
  }

  #endRequest(): void {
    this.#requestDone = true;
    this.#rateDeadline?.close();
    this.#rateDeadline = null;
  }

  #watchRate(): void {
    const { bodyRateWindowMs = BODY_RATE_WINDOW_MS } = this.#plan;
    if (bodyRateWindowMs === 0) return;
    this.#rateDeadline ??= new Deadline(() => this.#judgeRate());
    this.#rateDeadline.arm(bodyRateWindowMs);
  }

  #judgeRate(): void {
    const { bodyRateWindowMs = BODY_RATE_WINDOW_MS } = this.#plan;
    const enough = (MIN_BODY_BYTES_PER_SECOND * bodyRateWindowMs) / 1_000;
    if (!this.#held && this.#rateBytes < enough) {
      this.#fail(new BackdialError('body-too-slow', `less than ${MIN_BODY_BYTES_PER_SECOND} bytes a second`));
      return;
    }
    this.#held = this.#holding;
    this.#rateBytes = 0;
    this.#rateDeadline?.arm(bodyRateWindowMs);
  }

  #fail(error: BackdialError): void {
    if (this.#settled) return;
    this.#upstream.fail(error);
    this.#settle(error);
  }

  #settleWhenDone(): void {
    if (this.#responseDone && this.#requestDone && this.#handedOver) this.#settle(null);
  }

  #settle(error: BackdialError | null): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#rateDeadline?.close();
    this.#exchange.handler = null;
    const unanswered = !this.#exchange.responded && this.#exchange.gone === null;
    if (error !== null && !unanswered && this.#exchange.gone === null) this.#exchange.abort(error);
    this.#onEnd({
      error,
      unanswered,
      status: this.#status,
      heard: this.#heard,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      switched: this.#switched,
    });
  }
}

/** `headers` with `fields` at their end and without other fields of the same names. */
export function withFields(headers: string[], fields: readonly string[]): string[] {
  let result = headers;
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase();
    if (fieldValue(result, name) !== null) result = removeNamed(result, [name]);
    result.push(fields[i] ?? '', fields[i + 1] ?? '');
  }
  return result;
}
