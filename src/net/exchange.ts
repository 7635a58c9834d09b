import type { Duplex } from 'node:stream';
import type { BackdialError } from '../core/errors.ts';
import type { Framing } from './head-check.ts';

/** Who is told what a visitor does during an exchange. */
export interface ExchangeHandler {
  exchangeData(chunk: Buffer): void;
  /** The request is complete; trailers are raw pairs, unchecked. */
  exchangeBodyEnd(trailers: string[]): void;
  /** After a `write` that gave false: there is room again. */
  exchangeDrain(): void;
  /** The response was handed over in full. */
  exchangeDone(): void;
  /** The request's body breaks a rule of HTTP. The response, unless it has begun, can still be given. */
  exchangeBroken(error: BackdialError): void;
  /** The visitor went away or stopped reading; nothing can be said to it any more. */
  exchangeGone(error: BackdialError): void;
}

/**
 * One request of a visitor and the way back to it, the same for HTTP/1 and HTTP/2. The head is read and checked already.
 * Whoever answers calls either {@link Exchange.answer} once, or `respond`, `write`..., `end`; or `abort` at any time.
 */
export interface Exchange {
  readonly version: '1.0' | '1.1' | '2';
  /** Null until somebody cares; {@link Exchange.gone} tells what was missed. */
  handler: ExchangeHandler | null;
  /** Set once the visitor is gone. */
  readonly gone: BackdialError | null;
  /** The response's head (not an interim one) was sent. */
  readonly responded: boolean;

  /** Begins to hand over the request's body. To be called once, when there is one. */
  startBody(): void;
  pauseBody(): void;
  resumeBody(): void;
  /** Nobody wants the rest of the request; the response, if it is complete, still arrives. */
  discardBody(): void;

  /** Sends an interim response; visitors of HTTP/1.0 get none. */
  inform(status: number, headers: string[]): void;
  /** Sends the head; `framing` is how long the body will be, `chunked` and `close`: unknown, with or without trailers. */
  respond(status: number, reason: string, headers: string[], framing: Framing | 'close'): void;
  /** False: wait for `exchangeDrain`. */
  write(chunk: Buffer): boolean;
  /** Ends the response, with its last bytes where they are known to be the last. */
  end(trailers: string[], last: Buffer | null): void;

  /**
   * A whole answer in one go. With `close` the visitor's connection ends after it, but lingers so that an answer to a body
   * that is still being sent arrives.
   */
  answer(status: number, headers: string[], body: Buffer, close: boolean): void;
  /** A cut that the visitor cannot take for an end: RST of the connection, or RST_STREAM. */
  abort(error: Error): void;
  /**
   * Answers that the protocol is switched and gives the byte stream that the connection (or HTTP/2 stream) becomes, from
   * the first byte behind the request. Null when the visitor is gone, or its request was not one for an upgrade.
   */
  upgrade(reason: string, headers: string[]): Duplex | null;
}
