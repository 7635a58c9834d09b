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
