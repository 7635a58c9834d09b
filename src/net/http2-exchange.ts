import { constants, type ServerHttp2Stream, type ServerStreamResponseOptions } from 'node:http2';
import type { Duplex } from 'node:stream';
import { BackdialError } from '../core/errors.ts';
import type { Exchange, ExchangeHandler } from './exchange.ts';
import { forgetListeners } from './forget-listeners.ts';
import type { Framing } from './head-check.ts';
import { fieldsByName } from './http2-fields.ts';
import { StalledPeer, untilLook } from './stalled-peer.ts';

/** What is known of a stream when it comes. */
export interface Http2ExchangeOptions {
  readonly method: string;
  /** The request's HEADERS had END_STREAM. */
  readonly ended: boolean;
  /** As in HTTP/1. */
  readonly writeMs: number;
  /** Told once, when the stream closed. */
  readonly onClosed: () => void;
}

/**
 * An exchange over a stream of node:http2, from the `stream` event alone; the stream has an `error` listener.
 *
 * Node's handle of a stream, and all that hangs on it, outlives every young collection, for the handle was changed: what is
 * kept here until the next full one is as little as can be. So there are listeners only where something is waited for.
 */
export class Http2Exchange implements Exchange {
  readonly version = '2';
  handler: ExchangeHandler | null = null;
  gone: BackdialError | null = null;
  readonly #stream: ServerHttp2Stream;
  readonly #options: Http2ExchangeOptions;
  #trailers: readonly string[] = NONE;
  #requestTrailers: string[] = [];
  #bodyStarted = false;
  #bodyOver = false;
  #watches = false;
  /** Bytes wait for the visitor. */
  #waits = false;
  #done = false;

  constructor(stream: ServerHttp2Stream, options: Http2ExchangeOptions) {
    this.#stream = stream;
    this.#options = options;
    stream.on('close', () => this.#streamOnClose());
    if (options.ended) return;
    // From the start: an empty body ends, and trailers come, whether or not anyone reads.
    stream.on('trailers', (_headers: unknown, _flags: number, raw: string[]) => {
      this.#requestTrailers = raw;
    });
    stream.on('end', () => this.#streamOnEnd());
  }

  get responded(): boolean {
    return this.#stream.headersSent;
  }

  startBody(): void {
    const stream = this.#stream;
    this.#bodyStarted = true;
    stream.on('data', (chunk: Buffer) => this.handler?.exchangeData(chunk));
    if (this.#bodyOver) process.nextTick(() => this.handler?.exchangeBodyEnd(this.#requestTrailers));
  }

  pauseBody(): void {
    this.#stream.pause();
  }

  resumeBody(): void {
    this.#stream.resume();
  }

  discardBody(): void {
    this.#stream.resume();
    this.#closeWhenSent();
  }

  inform(status: number, headers: string[]): void {
    if (this.#closed || this.responded) return;
    this.#stream.additionalHeaders({ ':status': status, ...fieldsByName(headers) });
  }

  respond(status: number, _reason: string, headers: string[], framing: Framing | 'close'): void {
    if (this.#closed) return;
    const bodyless = framing === 'none' || framing === 0;
    // Where the visitor has ended its side, Node closes the stream when END_STREAM goes out, before `finish`, or when the
    // visitor cancels, and both look alike. This event comes only once all was sent.
    const waitForTrailers = framing === 'chunked' || !this.#options.ended;
    if (waitForTrailers) this.#stream.on('wantTrailers', () => this.#streamOnWantTrailers());
    this.#respond(http2Head(status, headers), responseOptions(bodyless, waitForTrailers));
  }

  #respond(head: string[], options: ServerStreamResponseOptions): void {
    this.#stream.respond(head, options);
    // Node keeps it with the stream, and does not look at it again.
    head.length = 0;
  }

  write(chunk: Buffer): boolean {
    // 205 and HEAD have no body in HTTP/2, whatever the target sent; Node has ended the stream by itself.
    if (this.#closed || this.#stream.writableEnded) return true;
    const room = this.#stream.write(chunk);
    if (!room) this.#watch();
    return room;
  }

  end(trailers: string[], last: Buffer | null): void {
    if (this.#closed) return;
    this.#trailers = trailers;
    this.#endStream(last);
  }

  answer(status: number, headers: string[], body: Buffer, _close: boolean): void {
    if (this.#closed) return;
    const stream = this.#stream;
    const bodyless = this.#options.method === 'HEAD' || body.length === 0;
    this.#respond(http2Head(status, headers), responseOptions(bodyless, false));
    if (!bodyless) this.#endStream(body);
    if (this.#options.ended) return;
    stream.resume();
    this.#closeWhenSent();
  }

  abort(error: Error): void {
    if (this.gone === null && !this.#done) {
      this.gone = error instanceof BackdialError ? error : new BackdialError('visitor-reset', error.message);
    }
    const stream = this.#stream;
    // Inside a callback of http2, destroying has crashed several versions of Node. With an error: RST_STREAM says so.
    setImmediate(() => {
      if (!stream.destroyed) stream.destroy(error);
    });
  }

  upgrade(_reason: string, headers: string[]): Duplex | null {
    if (this.#closed) return null;
    const stream = this.#stream;
    this.#done = true;
    // RFC 8441, section 5: 200 where HTTP/1.1 says 101.
    this.#respond(http2Head(200, headers), responseOptions(false, false));
    return stream;
  }

  /** A visitor whose window is closed keeps waiting even what is small. */
  #endStream(last: Buffer | null): void {
    const stream = this.#stream;
    if (!stream.writableEnded) stream.end(last ?? undefined);
    if (stream.writableLength > 0) this.#watch();
  }

  /** Bytes wait for the visitor. */
  #watch(): void {
    const stream = this.#stream;
    const { writeMs } = this.#options;
    this.#waits = true;
    stream.setTimeout(untilLook(writeMs));
    if (this.#watches) return;
    this.#watches = true;
    stream.on('drain', () => {
      this.#waits = false;
      stream.setTimeout(0);
      this.handler?.exchangeDrain();
    });
    const visitor = new StalledPeer(stream.session?.socket ?? {});
    stream.on('timeout', async () => {
      const isStalled = await visitor.look(writeMs);
      // All may have left meanwhile, which ended the watch.
      if (this.#closed || !this.#waits) return;
      if (isStalled) this.#stall();
      else stream.setTimeout(untilLook(writeMs));
    });
  }

  #stall(): void {
    const error = new BackdialError('visitor-stalled');
    this.#lose(error);
    this.abort(error);
  }

  /** RFC 9113, section 8.1: a complete response may be followed by RST_STREAM with NO_ERROR: stop sending. */
  #closeWhenSent(): void {
    const stream = this.#stream;
    const close = () => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    if (stream.writableFinished) close();
    else stream.once('finish', close);
  }

  get #closed(): boolean {
    return this.gone !== null || this.#stream.destroyed || this.#stream.closed;
  }

  #lose(error: BackdialError): void {
    if (this.gone !== null) return;
    this.gone = error;
    if (!this.#done) this.handler?.exchangeGone(error);
  }

  #streamOnEnd(): void {
    // A reset stream says `end` too.
    if (this.#stream.aborted || this.#stream.rstCode !== 0) return;
    this.#bodyOver = true;
    if (this.#bodyStarted) this.handler?.exchangeBodyEnd(this.#requestTrailers);
  }

  #streamOnWantTrailers(): void {
    const { destroyed, closed } = this.#stream;
    if (!destroyed && !closed) this.#stream.sendTrailers(fieldsByName(this.#trailers));
  }

  #streamOnClose(): void {
    const stream = this.#stream;
    forgetListeners(stream);
    this.#options.onClosed();
    if (stream.writableFinished && !stream.aborted) {
      if (this.gone !== null || this.#done) return;
      this.#done = true;
      this.handler?.exchangeDone();
      if (this.handler === null) return;
      // It has the whole response; the rest of its request, and whether it wanted that, matters to nobody but the target.
      this.gone = new BackdialError('visitor-reset', 'the stream was closed in mid-request');
      this.handler.exchangeGone(this.gone);
    } else {
      const { errored, rstCode } = stream;
      const detail = errored?.message ?? `RST_STREAM code ${rstCode ?? 0}`;
      this.#lose(new BackdialError('visitor-reset', detail, { cause: errored ?? undefined }));
    }
  }
}

const NONE: readonly string[] = [];

/** Names in lower case; the order stays. Node takes the array as it is. */
function http2Head(status: number, headers: readonly string[]): string[] {
  const head: string[] = [':status', String(status)];
  for (let i = 0; i < headers.length; i += 2) head.push((headers[i] ?? '').toLowerCase(), headers[i + 1] ?? '');
  return head;
}

/** What the target said, Date included, is passed on as it is; the type lacks `sendDate`. */
function responseOptions(endStream: boolean, waitForTrailers: boolean): ServerStreamResponseOptions {
  const options = { endStream, waitForTrailers, sendDate: false };
  return options;
}
