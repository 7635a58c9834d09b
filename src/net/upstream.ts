import type { Duplex } from 'node:stream';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { Deadline } from './deadline.ts';
import type { HeaderRules } from './header-rules.ts';
import { ResponseParser, type ResponseSink } from './http1-response.ts';
import type { ResponseHead } from './http1-response-head.ts';
import { CRLF, latin1 } from './latin1.ts';
import { resetDuplex } from './reset.ts';
import { StallDeadline } from './stalled-peer.ts';
import type { Requester, UpstreamHandler, UpstreamRequest } from './upstream-handler.ts';

/** Starts when a response ended that may not be followed by another; ends what the target did not end itself. */
const CLOSING_MS = 1_000;

/**
 * One HTTP/1.1 connection to a target, over any byte stream: one exchange at a time, nothing pipelined (design, section 8,
 * point 5). It owns the stream: idle bytes, a reset, an end in the wrong place make it `closed`.
 *
 *     free --start--> busy --(request and response complete)--> free | closed
 *     busy --(cut, bad response, fail())--> closed;  free --(any event, end())--> closed
 */
export class Upstream implements ResponseSink, Requester {
  readonly #stream: Duplex;
  readonly #parser: ResponseParser;
  readonly #readDeadline = new Deadline(() => this.#fail(new BackdialError('target-silent')));
  readonly #writeDeadline: StallDeadline;
  #handler: UpstreamHandler | null = null;
  #state: 'free' | 'busy' | 'closed' | 'released' = 'free';
  #chunked = false;
  #requestDone = true;
  #responseDone = true;
  #trailers: string[] | null = null;
  #ended = false;
  #readMs = 0;
  #writeMs = 0;
  /** Called when the connection becomes free, and when it closed; a pool listens. */
  onFree: ((upstream: Upstream) => void) | null = null;
  onClosed: ((upstream: Upstream) => void) | null = null;
  /** Requests begun so far. */
  requests = 0;
  /** When it became free, by `performance.now()`. */
  freeSince = 0;

  constructor(stream: Duplex, rules: HeaderRules) {
    this.#stream = stream;
    this.#writeDeadline = new StallDeadline(stream, () => this.#fail(new BackdialError('target-stalled')));
    stream.on('error', this.#streamOnError);
    stream.on('end', this.#streamOnEnd);
    stream.on('close', this.#streamOnClose);
    stream.on('drain', this.#streamOnDrain);
    stream.on('data', this.#streamOnData);
    this.#parser = new ResponseParser(rules, this);
  }

  get free(): boolean {
    return this.#state === 'free';
  }

  get closed(): boolean {
    return this.#state === 'closed';
  }

  /** Whether, as far as the last response head told, another request can follow. */
  get reusable(): boolean {
    return this.#parser.reusable && !this.#ended;
  }

  get refused(): boolean {
    return false;
  }

  start(request: UpstreamRequest, handler: UpstreamHandler, readMs: number, writeMs: number): void {
    this.requests += 1;
    if (this.#state !== 'free' || this.#stream.destroyed) {
      // It broke between being opened and being used, when nobody listened.
      process.nextTick(() => handler.upstreamFailed(new BackdialError('target-lost', 'the stream was closed')));
      return;
    }
    this.#state = 'busy';
    this.#handler = handler;
    this.#readMs = readMs;
    this.#writeMs = writeMs;
    this.#chunked = request.framing === 'chunked';
    this.#requestDone = request.framing === 'none' || request.framing === 0;
    this.#responseDone = false;
    this.#trailers = null;
    this.#parser.start(request.method, request.upgrade);
    const { headers } = request;
    let head = `${request.method} ${request.target} HTTP/1.1\r\n`;
    for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
    this.#stream.write(latin1(`${head}\r\n`));
    if (this.#requestDone) this.#readDeadline.arm(readMs);
  }

  awaitResponse(): void {
    this.#readDeadline.arm(this.#readMs);
  }

  write(chunk: Buffer): boolean {
    if (this.#state !== 'busy') return true;
    this.#readDeadline.disarm();
    const stream = this.#stream;
    let room: boolean;
    if (this.#chunked) {
      stream.cork();
      stream.write(latin1(`${chunk.length.toString(16)}\r\n`));
      stream.write(chunk);
      room = stream.write(CRLF);
      stream.uncork();
    } else {
      room = stream.write(chunk);
    }
    if (!room) this.#writeDeadline.arm(this.#writeMs);
    return room;
  }

  /** Trailers go with chunks only. */
  finish(trailers: readonly string[]): void {
    if (this.#state !== 'busy') return;
    if (this.#chunked) {
      let tail = '0\r\n';
      for (let i = 0; i < trailers.length; i += 2) tail += `${trailers[i]}: ${trailers[i + 1]}\r\n`;
      this.#stream.write(latin1(`${tail}\r\n`));
    }
    this.#requestDone = true;
    if (this.#responseDone) this.#settle();
    else this.#readDeadline.arm(this.#readMs);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  fail(error: Error): void {
    this.#handler = null;
    this.#close();
    resetDuplex(this.#stream, error);
  }

  /** Ends a free connection. */
  end(): void {
    if (this.#state !== 'free') return;
    this.#endGently();
  }

  release(): Duplex {
    this.#state = 'released';
    this.#handler = null;
    this.#forget();
    const stream = this.#stream;
    stream.off('end', this.#streamOnEnd);
    stream.off('close', this.#streamOnClose);
    stream.off('drain', this.#streamOnDrain);
    stream.off('data', this.#streamOnData);
    stream.pause();
    return stream;
  }

  responseInterim(head: ResponseHead): void {
    this.#handler?.upstreamInterim(head);
  }

  responseHead(head: ResponseHead): void {
    this.#readDeadline.disarm();
    this.#handler?.upstreamHead(head);
  }

  responseData(data: Buffer): void {
    this.#handler?.upstreamData(data);
  }

  responseEnd(trailers: string[]): void {
    this.#trailers = trailers;
  }

  readonly #streamOnData = (chunk: Buffer): void => {
    if (this.#state !== 'busy' || this.#responseDone) {
      // Nobody asked: a response to nothing, or the rest of a lie about a length.
      this.#fail(new BackdialError('target-invalid', 'bytes without a request'));
      return;
    }
    let at: number;
    try {
      at = this.#parser.read(chunk);
    } catch (error) {
      this.#fail(asBackdialError(error, 'target-invalid'));
      return;
    }
    // The handler may have released or cut it meanwhile.
    if (this.#parser.upgraded) {
      if (at < chunk.length) this.#stream.unshift(chunk.subarray(at));
    } else if (this.#trailers !== null) {
      this.#complete(at === chunk.length);
    }
  };

  /** The response is complete; `clean`: nothing followed it. */
  #complete(clean: boolean): void {
    const trailers = this.#trailers ?? [];
    this.#trailers = null;
    this.#responseDone = true;
    this.#readDeadline.disarm();
    if (!clean) this.#parser.reusable = false;
    const handler = this.#handler;
    if (this.#requestDone) this.#settle();
    handler?.upstreamEnd(trailers);
  }

  #settle(): void {
    if (this.#state !== 'busy') return;
    this.#handler = null;
    this.#writeDeadline.disarm();
    if (!this.#parser.reusable || this.#ended) {
      this.#endGently();
      return;
    }
    this.#state = 'free';
    this.freeSince = performance.now();
    if (this.#stream.isPaused()) this.#stream.resume();
    this.onFree?.(this);
  }

  #endGently(): void {
    this.#close();
    const stream = this.#stream;
    stream.resume();
    stream.end();
    const timer = setTimeout(() => stream.destroy(), CLOSING_MS);
    timer.unref();
    stream.once('close', () => clearTimeout(timer));
  }

  #close(): void {
    if (this.#state === 'closed' || this.#state === 'released') return;
    this.#state = 'closed';
    this.#forget();
    this.onClosed?.(this);
  }

  #forget(): void {
    this.#readDeadline.close();
    this.#writeDeadline.close();
    this.onFree = null;
  }

  #fail(error: BackdialError): void {
    if (this.#state === 'released' || this.#state === 'closed') return;
    const handler = this.#handler;
    this.fail(error);
    handler?.upstreamFailed(error);
  }

  readonly #streamOnDrain = (): void => {
    this.#writeDeadline.disarm();
    this.#handler?.upstreamDrain();
  };

  readonly #streamOnError = (error: Error): void => {
    this.#fail(asBackdialError(error, 'target-lost'));
  };

  readonly #streamOnEnd = (): void => {
    this.#ended = true;
    // A tunnel's stream that was reset with CANCEL after this side had ended says `end` and nothing else.
    const { rstCode } = this.#stream as { readonly rstCode?: number | undefined };
    if (rstCode !== undefined && rstCode !== 0) {
      this.#fail(new BackdialError('target-lost', `RST_STREAM code ${rstCode}`));
    } else if (this.#state === 'free') {
      this.end();
    } else if (this.#state === 'busy' && !this.#responseDone) {
      if (this.#parser.end()) this.#complete(true);
      else this.#fail(new BackdialError('target-lost'));
    }
  };

  readonly #streamOnClose = (): void => {
    this.#fail(new BackdialError('target-lost', 'the stream was closed'));
  };
}
