import { STATUS_CODES } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2';
import type { Duplex } from 'node:stream';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { Deadline } from './deadline.ts';
import { forgetListeners } from './forget-listeners.ts';
import type { Framing } from './head-check.ts';
import { FIELD, fieldValue, type HeaderRules } from './header-rules.ts';
import { MAX_INTERIM_RESPONSES } from './http1-response.ts';
import type { ResponseHead } from './http1-response-head.ts';
import { fieldsByName } from './http2-fields.ts';
import type { Requester, UpstreamHandler, UpstreamRequest } from './upstream-handler.ts';

/** How an exchange was over: `unanswered`: given up before its response came; `silent`: likewise, and as `target-silent`. */
export type ExchangeEnd = 'answered' | 'unanswered' | 'silent';

/**
 * One exchange over an HTTP/2 session with a target. The request is as it would be sent over HTTP/1.1; what HTTP/2 has no
 * field for is left out.
 */
export class Http2Upstream implements Requester {
  readonly #session: ClientHttp2Session;
  readonly #rules: HeaderRules;
  readonly #onOver: (end: ExchangeEnd) => void;
  readonly #readDeadline = new Deadline(() => this.#readDeadlineOnPassed());
  readonly #writeDeadline = new Deadline(() => this.#writeStalled());
  readonly #cancel = new AbortController();
  #stream: ClientHttp2Stream | null = null;
  #handler: UpstreamHandler | null = null;
  #method = '';
  #wantsTrailers = false;
  #interims = 0;
  #requestDone = false;
  #responseDone = false;
  #requestTrailers: readonly string[] = [];
  #trailers: string[] = [];
  #readMs = 0;
  #writeMs = 0;
  #waiting = 0;
  #over = false;
  #ended: ExchangeEnd = 'unanswered';

  /** `onOver` is called once, when the exchange takes no place in the session any more. */
  constructor(session: ClientHttp2Session, rules: HeaderRules, onOver: (end: ExchangeEnd) => void) {
    this.#session = session;
    this.#rules = rules;
    this.#onOver = onOver;
  }

  /** REFUSED_STREAM; a GOAWAY that does not count the stream ends it so, too. */
  get refused(): boolean {
    return this.#stream?.rstCode === constants.NGHTTP2_REFUSED_STREAM;
  }

  start(request: UpstreamRequest, handler: UpstreamHandler, readMs: number, writeMs: number): void {
    const { framing, method } = request;
    this.#handler = handler;
    this.#method = method;
    this.#wantsTrailers = wantsTrailers(request);
    this.#readMs = readMs;
    this.#writeMs = writeMs;
    this.#requestDone = framing === 'none' || framing === 0;
    const trailers = framing === 'chunked';
    let stream: ClientHttp2Stream;
    try {
      const { signal } = this.#cancel;
      stream = this.#session.request(headOf(request), {
        endStream: this.#requestDone,
        waitForTrailers: trailers,
        signal,
      });
    } catch (thrown) {
      // The session broke, or began to close, between being chosen and being used.
      process.nextTick(() => this.#fail(asBackdialError(thrown, 'target-lost')));
      return;
    }
    stream.on('error', this.#streamOnError);
    stream.on('close', this.#streamOnClose);
    stream.on('headers', this.#streamOnHeaders);
    stream.on('response', this.#streamOnResponse);
    stream.on('trailers', this.#streamOnTrailers);
    stream.on('drain', this.#streamOnDrain);
    stream.on('end', this.#streamOnEnd);
    if (trailers) stream.on('wantTrailers', this.#streamOnWantTrailers);
    this.#stream = stream;
    if (this.#requestDone) this.#readDeadline.arm(readMs);
  }

  awaitResponse(): void {
    this.#readDeadline.arm(this.#readMs);
  }

  write(chunk: Buffer): boolean {
    const stream = this.#stream;
    if (stream === null || stream.destroyed || stream.closed) return true;
    this.#readDeadline.disarm();
    const room = stream.write(chunk);
    if (!room) {
      this.#waiting = stream.writableLength;
      this.#writeDeadline.arm(this.#writeMs);
    }
    return room;
  }

  finish(trailers: readonly string[]): void {
    const stream = this.#stream;
    this.#requestDone = true;
    if (stream === null || stream.destroyed || stream.closed) return;
    this.#requestTrailers = trailers;
    stream.end();
    if (this.#responseDone) this.#forget();
    else this.#readDeadline.arm(this.#readMs);
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  fail(error: Error): void {
    this.#handler = null;
    this.#forget();
    if (this.#stream === null) this.#end();
    // RST_STREAM with CANCEL, and no END_STREAM in front of it. Not inside a callback of http2, which has crashed Node.
    setImmediate(() => this.#cancel.abort(error));
  }

  release(): Duplex {
    throw new BackdialError('internal', 'an upgrade over HTTP/2');
  }

  #fail(error: BackdialError): void {
    const handler = this.#handler;
    this.fail(error);
    handler?.upstreamFailed(error);
  }

  #readDeadlineOnPassed(): void {
    this.#ended = 'silent';
    this.#fail(new BackdialError('target-silent'));
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#onOver(this.#ended);
  }

  #forget(): void {
    this.#readDeadline.close();
    this.#writeDeadline.close();
  }

  #writeStalled(): void {
    const waiting = this.#stream?.writableLength ?? 0;
    if (waiting >= this.#waiting) {
      this.#fail(new BackdialError('target-stalled'));
      return;
    }
    this.#waiting = waiting;
    this.#writeDeadline.arm(this.#writeMs);
  }

  readonly #streamOnHeaders = (_headers: unknown, _flags: number, raw: string[]): void => {
    this.#interims += 1;
    if (this.#interims > MAX_INTERIM_RESPONSES) {
      this.#fail(new BackdialError('target-invalid', `more than ${MAX_INTERIM_RESPONSES} interim responses`));
      return;
    }
    this.#handler?.upstreamInterim(this.#responseHead(raw, 'none'));
  };

  readonly #streamOnResponse = (_headers: unknown, flags: number, raw: string[]): void => {
    this.#ended = 'answered';
    this.#readDeadline.disarm();
    const ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const status = Number(fieldValue(raw, ':status'));
    const bodyless = this.#method === 'HEAD' || status === 204 || status === 304;
    // HTTP/1.1, over which this goes on, has trailers behind chunks only.
    const mayHaveTrailers = !ended && (this.#wantsTrailers || fieldValue(raw, 'trailer') !== null);
    const length = mayHaveTrailers ? null : fieldValue(raw, 'content-length');
    const framing = bodyless ? 'none' : length !== null ? Number(length) : ended ? 0 : 'chunked';
    const head = this.#responseHead(raw, framing);
    // So that what ends with its head still does when it has gone through HTTP/1.1 (gRPC: "trailers only").
    if (framing === 0 && length === null) head.headers.push('Content-Length', '0');
    this.#handler?.upstreamHead(head);
    // Not earlier: what has no listener stays in the stream.
    this.#stream?.on('data', this.#streamOnData);
  };

  #responseHead(raw: readonly string[], framing: Framing): ResponseHead {
    const headers: string[] = [];
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i] ?? '';
      if (name.startsWith(':') || !this.#mayPass(name, framing)) continue;
      headers.push(name, raw[i + 1] ?? '');
    }
    const status = Number(fieldValue(raw, ':status'));
    return { status, reason: STATUS_CODES[status] ?? '', headers, framing, upgrade: null, reusable: true };
  }

  #mayPass(name: string, framing: Framing): boolean {
    const field = this.#rules.classify(name);
    if (field === FIELD.contentLength) return framing !== 'chunked';
    return field !== FIELD.hop && field !== FIELD.drop && field !== FIELD.te && field !== FIELD.transferEncoding;
  }

  readonly #streamOnTrailers = (_headers: unknown, _flags: number, raw: string[]): void => {
    this.#trailers = raw;
  };

  readonly #streamOnData = (chunk: Buffer): void => this.#handler?.upstreamData(chunk);

  readonly #streamOnEnd = (): void => {
    const stream = this.#stream;
    // A reset stream says `end` too.
    if (stream === null || stream.aborted || stream.destroyed || stream.rstCode !== constants.NGHTTP2_NO_ERROR) return;
    this.#responseDone = true;
    if (this.#requestDone) this.#forget();
    this.#handler?.upstreamEnd(this.#trailers);
  };

  readonly #streamOnDrain = (): void => {
    this.#writeDeadline.disarm();
    this.#handler?.upstreamDrain();
  };

  readonly #streamOnWantTrailers = (): void => {
    const stream = this.#stream;
    if (stream !== null && !stream.destroyed && !stream.closed)
      stream.sendTrailers(fieldsByName(this.#requestTrailers));
  };

  readonly #streamOnError = (error: Error): void => {
    this.#fail(asBackdialError(error, 'target-lost'));
  };

  readonly #streamOnClose = (): void => {
    if (this.#stream !== null) forgetListeners(this.#stream);
    this.#forget();
    this.#end();
    if (this.#responseDone && this.#requestDone) return;
    this.#fail(
      new BackdialError('target-lost', `the HTTP/2 stream was closed with code ${this.#stream?.rstCode ?? 0}`),
    );
  };
}

/** Browsers say that they take trailers with every request, and show them to nobody: they get the length instead. */
function wantsTrailers({ headers }: UpstreamRequest): boolean {
  return fieldValue(headers, 'te') === 'trailers' && fieldValue(headers, 'sec-fetch-mode') === null;
}

/** Not known to HTTP/2, or said in another way there (RFC 9113, section 8.2.2). */
const LEFT_OUT = new Set(['host', 'connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

function headOf({ method, target, headers }: UpstreamRequest): string[] {
  const authority = fieldValue(headers, 'host') ?? '';
  const head = [':method', method, ':scheme', 'https', ':authority', authority, ':path', target];
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] ?? '').toLowerCase();
    if (!LEFT_OUT.has(name)) head.push(name, headers[i + 1] ?? '');
  }
  return head;
}
