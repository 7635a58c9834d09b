import type { BackdialError } from '../core/errors.ts';
import type { Exchange, ExchangeHandler } from './exchange.ts';

/** Holds an exchange while it waits for a place, a tunnel or a stream, and tells when waiting makes no sense any more. */
export class VisitorWatch implements ExchangeHandler {
  readonly #exchange: Exchange;
  #controller: AbortController | null = null;
  #error: BackdialError | null = null;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** Aborted when the visitor is gone or its request is broken; most requests never wait and need none. */
  hold(): AbortSignal {
    this.#exchange.handler = this;
    if (this.#controller === null) {
      this.#controller = new AbortController();
      const error = this.error;
      if (error !== null) this.#controller.abort(error);
    }
    return this.#controller.signal;
  }

  /** Why waiting ended; null as long as it makes sense. */
  get error(): BackdialError | null {
    return this.#error ?? this.#exchange.gone;
  }

  exchangeGone(error: BackdialError): void {
    this.#stop(error);
  }

  exchangeBroken(error: BackdialError): void {
    this.#stop(error);
  }

  // Neither body nor response moves while an exchange waits.
  exchangeData(): void {}
  exchangeBodyEnd(): void {}
  exchangeDrain(): void {}
  exchangeDone(): void {}

  #stop(error: BackdialError): void {
    this.#error ??= error;
    this.#controller?.abort(error);
  }
}
