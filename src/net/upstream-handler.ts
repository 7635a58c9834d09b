import type { Duplex } from 'node:stream';
import type { BackdialError } from '../core/errors.ts';
import type { Framing } from './head-check.ts';
import type { ResponseHead } from './http1-response-head.ts';

/** What is sent to a target: the head as it is, byte for byte, and how the body will be framed. */
export interface UpstreamRequest {
  readonly method: string;
  readonly target: string;
  /** `[name, value, ...]`; framing and `Connection` included. */
  readonly headers: readonly string[];
  readonly framing: Framing;
  /** True when `headers` ask for an upgrade: a 101 may come. */
  readonly upgrade: boolean;
}

/** Who is told what a target does with a request. After `upstreamFailed` nothing more is told. */
export interface UpstreamHandler {
  upstreamInterim(head: ResponseHead): void;
  /** A 101 included: the connection is then the handler's, to be taken with `release`. */
  upstreamHead(head: ResponseHead): void;
  upstreamData(data: Buffer): void;
  upstreamEnd(trailers: string[]): void;
  /** After a `write` that gave false: there is room again. */
  upstreamDrain(): void;
  upstreamFailed(error: BackdialError): void;
}

/** The way of one exchange to a target, whatever version of HTTP that speaks. */
export interface Requester {
  /**
   * Sends a request head, once. `readMs`: starts when the request was sent in full, ends with the response head
   * (`target-silent`). `writeMs`: starts when bytes wait for the target, ends when it takes some (`target-stalled`). 0: none.
   */
  start(request: UpstreamRequest, handler: UpstreamHandler, readMs: number, writeMs: number): void;
  /** Starts the wait for the response before the request is complete: for a request that expects `100 Continue`. */
  awaitResponse(): void;
  /** Sends a piece of the body. False: wait for `upstreamDrain`. */
  write(chunk: Buffer): boolean;
  /** The body is complete. */
  finish(trailers: readonly string[]): void;
  pause(): void;
  resume(): void;
  /** Cuts the exchange: the target sees a reset. The handler is not told. */
  fail(error: Error): void;
  /** After a failure: the target says that it did nothing with the request (RFC 9113, section 8.7), so that any can be sent again. */
  readonly refused: boolean;
  /** Hands the connection over after a 101, paused; what came behind the 101 is in front of what it will give. */
  release(): Duplex;
}
