import { BackdialError } from '../core/errors.ts';
import type { HeaderRules } from './header-rules.ts';
import { ChunkedBody } from './http1-chunked.ts';
import { parseFields, parseResponseHead, type ResponseHead } from './http1-response-head.ts';

/** Largest response head, bytes (design, section 8, point 6); interim heads count each on their own. */
export const MAX_RESPONSE_HEAD_BYTES = 65_536;
/** More interim (1xx) responses than this to one request: `target-invalid`. */
export const MAX_INTERIM_RESPONSES = 8;

/** Who gets what the parser finds, in this order: interim heads, the head, data, the end. */
export interface ResponseSink {
  responseInterim(head: ResponseHead): void;
  responseHead(head: ResponseHead): void;
  responseData(data: Buffer): void;
  /** The body is complete; `trailers` are raw pairs. */
  responseEnd(trailers: string[]): void;
}

const HEAD = 0;
const LENGTH_BODY = 1;
const CHUNKED_BODY = 2;
const CLOSE_BODY = 3;
const DONE = 4;
const UPGRADED = 5;

/**
 * Reads the response to one request from bytes in any split (RFC 9112). Strict where leniency is ambiguity: CRLF only, one
 * Content-Length, `chunked` alone or nothing, never both. `read` throws a BackdialError (`target-invalid`,
 * `target-headers`); the connection is then of no use.
 */
export class ResponseParser {
  readonly #rules: HeaderRules;
  #sink: ResponseSink;
  #state = DONE;
  #method = '';
  #upgrade = false;
  #pending: Buffer | null = null;
  #interims = 0;
  #left = 0;
  #chunked: ChunkedBody | null = null;
  /** True once the target allowed another request on this connection. */
  reusable = false;

  constructor(rules: HeaderRules, sink: ResponseSink) {
    this.#rules = rules;
    this.#sink = sink;
  }

  /** Begins a response; `upgrade`: the request asked for one, so that 101 may come. */
  start(method: string, upgrade: boolean): void {
    this.#state = HEAD;
    this.#method = method;
    this.#upgrade = upgrade;
    this.#pending = null;
    this.#interims = 0;
    this.reusable = false;
  }

  get done(): boolean {
    return this.#state === DONE;
  }

  /** After the 101 that was asked for: what follows is not HTTP. */
  get upgraded(): boolean {
    return this.#state === UPGRADED;
  }

  /** Reads from `at`; returns where it stopped: the end of `chunk`, or what lies behind the response or the 101. */
  read(chunk: Buffer, at = 0): number {
    let i = at;
    while (i < chunk.length) {
      switch (this.#state) {
        case HEAD:
          i = this.#readHead(chunk, i);
          break;
        case LENGTH_BODY:
          i = this.#readLength(chunk, i);
          break;
        case CHUNKED_BODY:
          i = this.#readChunked(chunk, i);
          break;
        case CLOSE_BODY:
          this.#sink.responseData(i === 0 ? chunk : chunk.subarray(i));
          return chunk.length;
        default:
          return i;
      }
    }
    return i;
  }

  /** The connection ended cleanly. True when that completes the response. */
  end(): boolean {
    if (this.#state !== CLOSE_BODY) return false;
    this.#finish([]);
    return true;
  }

  #readHead(chunk: Buffer, at: number): number {
    let buffer = chunk;
    let start = at;
    let seen = 0;
    const pending = this.#pending;
    if (pending !== null) {
      seen = pending.length;
      buffer = Buffer.concat([pending, at === 0 ? chunk : chunk.subarray(at)]);
      start = 0;
    }
    const end = buffer.indexOf(HEAD_END, start + Math.max(0, seen - 3));
    if ((end === -1 ? buffer.length : end) - start > MAX_RESPONSE_HEAD_BYTES) {
      throw new BackdialError('target-headers', `more than ${MAX_RESPONSE_HEAD_BYTES} bytes`);
    }
    if (end === -1) {
      if (!mayBeHead(buffer, start, start + seen)) throw new BackdialError('target-invalid', 'not a response head');
      this.#pending = start === 0 ? buffer : buffer.subarray(start);
      return chunk.length;
    }
    this.#pending = null;
    this.#takeHead(buffer.toString('latin1', start, end));
    return pending === null ? end + 4 : at + end + 4 - seen;
  }

  #takeHead(text: string): void {
    const head = parseResponseHead(text, this.#method, this.#rules);
    if (head.status < 200 && !(head.status === 101 && this.#upgrade)) {
      if (head.status === 101) throw new BackdialError('target-invalid', '101 without being asked for it');
      this.#interims += 1;
      if (this.#interims > MAX_INTERIM_RESPONSES) {
        throw new BackdialError('target-invalid', `more than ${MAX_INTERIM_RESPONSES} interim responses`);
      }
      this.#sink.responseInterim(head);
      return;
    }
    this.reusable = head.reusable;
    const { framing } = head;
    if (head.status === 101) this.#state = UPGRADED;
    else if (framing === 'none' || framing === 0) this.#state = DONE;
    else if (framing === 'close') this.#state = CLOSE_BODY;
    else if (framing === 'chunked') {
      this.#state = CHUNKED_BODY;
      this.#chunked = new ChunkedBody();
    } else {
      this.#state = LENGTH_BODY;
      this.#left = framing;
    }
    this.#sink.responseHead(head);
    if (this.#state === DONE) this.#sink.responseEnd([]);
  }

  #readLength(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left);
    this.#left -= end - at;
    this.#sink.responseData(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end));
    if (this.#left === 0) this.#finish([]);
    return end;
  }

  readonly #onChunkedData = (data: Buffer): void => this.#sink.responseData(data);

  #readChunked(chunk: Buffer, at: number): number {
    const body = this.#chunked;
    if (body === null) return chunk.length;
    const end = body.read(chunk, at, this.#onChunkedData);
    if (body.done) this.#finish(parseFields(body.trailer, 0));
    return end;
  }

  #finish(trailers: string[]): void {
    this.#state = DONE;
    this.#chunked = null;
    this.#sink.responseEnd(trailers);
  }
}

const VERSION = Buffer.from('HTTP/1.');
/** As bytes: to look for a string costs three times as much, most of a microsecond. */
const HEAD_END = Buffer.from('\r\n\r\n');

/** Tells at once what will never be a head: another protocol, or lines without CR. Up to `read` was looked at before. */
function mayBeHead(buffer: Buffer, start: number, read: number): boolean {
  const said = buffer.subarray(start, start + VERSION.length);
  if (!said.equals(VERSION.subarray(0, said.length))) return false;
  for (let i = buffer.indexOf(0x0a, read); i !== -1; i = buffer.indexOf(0x0a, i + 1)) {
    if (buffer[i - 1] !== 0x0d) return false;
  }
  return true;
}
