import type { Socket } from 'node:net';
import { ALERT, type Alert } from './alert.ts';
import { type ClientHello, ClientHelloReader, MAX_HELLO_WIRE_BYTES } from './client-hello.ts';
import { GrowingBuffer } from './growing-buffer.ts';

/** Memory that all pending peeks share: their number times their cap would be gigabytes. */
export interface PeekBudget {
  /** Bytes that may still be held. */
  remaining: number;
}

export interface PeekOptions {
  /** Starts with the call; ends when the hello is complete. 0: none. */
  readonly deadlineMs: number;
  /** Most bytes held, headers of records included. Default: what the largest hello can take. */
  readonly maxBytes?: number;
  /** Shared with other peeks; a large hello that does not fit any more is refused with alert 80. Default: none. */
  readonly budget?: PeekBudget;
}

/** A hello that is no larger is read to its end even where the others hold the whole budget: those of browsers have 2 kB. */
const SMALL_HELLO_BYTES = 4_096;

/** How a peek ended. */
export type Peeked =
  /** The socket is paused and every byte of the hello is unread again: hand it over in this very turn. */
  | ClientHello
  /** The socket is open and flowing into nowhere: answer with `sendAlert`. */
  | { readonly kind: 'refused'; readonly alert: Alert; readonly problem: string }
  /** The peer went away; `bytes` had come of it. */
  | { readonly kind: 'closed'; readonly bytes: number };

/**
 * Reads the ClientHello of a TLS client without consuming it. `onPeeked` is called once, in the turn of the read that
 * completed the hello: a later hand-over would let `raw` swallow a FIN that belongs to its next owner.
 *
 * `raw` must have an `error` listener and `allowHalfOpen`, so that an alert can still be sent after its FIN; before TLS the
 * caller sets that to false.
 */
export function peekClientHello(raw: Socket, options: PeekOptions, onPeeked: (result: Peeked) => void): void {
  new Peek(raw, options, onPeeked);
}

class Peek {
  readonly #raw: Socket;
  readonly #options: PeekOptions;
  readonly #onPeeked: (result: Peeked) => void;
  readonly #reader = new ClientHelloReader();
  readonly #held = new GrowingBuffer();
  readonly #deadline: NodeJS.Timeout | undefined;

  constructor(raw: Socket, options: PeekOptions, onPeeked: (result: Peeked) => void) {
    this.#raw = raw;
    this.#options = options;
    this.#onPeeked = onPeeked;
    if (options.deadlineMs > 0) {
      this.#deadline = setTimeout(this.#deadlineOnTimeout, options.deadlineMs);
      this.#deadline.unref();
    }
    raw.on('data', this.#rawOnData).on('end', this.#rawOnEnd).on('close', this.#rawOnClose);
  }

  readonly #rawOnData = (chunk: Buffer): void => {
    this.#held.append(chunk);
    if (this.#options.budget !== undefined) this.#options.budget.remaining -= chunk.length;
    const verdict = this.#reader.push(chunk);
    if (verdict.kind === 'hello') {
      this.#leave();
      this.#raw.pause();
      this.#raw.unshift(this.#held.bytes());
      this.#onPeeked(verdict);
    } else if (verdict.kind === 'alert') {
      this.#refuse(verdict.code, verdict.problem);
    } else if (this.#held.length > (this.#options.maxBytes ?? MAX_HELLO_WIRE_BYTES)) {
      this.#refuse(ALERT.decodeError, `no ClientHello within ${this.#held.length} bytes`);
    } else if (this.#held.length > SMALL_HELLO_BYTES && (this.#options.budget?.remaining ?? 0) < 0) {
      this.#refuse(ALERT.internalError, 'too many unfinished ClientHellos');
    }
  };

  readonly #rawOnEnd = (): void => {
    if (this.#held.length === 0) this.#gone();
    else this.#refuse(ALERT.decodeError, `a ClientHello that was cut after ${this.#held.length} bytes`);
  };

  readonly #rawOnClose = (): void => this.#gone();

  readonly #deadlineOnTimeout = (): void => {
    const { deadlineMs } = this.#options;
    this.#refuse(ALERT.userCanceled, `no ClientHello within ${deadlineMs} ms (${this.#held.length} bytes came)`);
  };

  #refuse(alert: Alert, problem: string): void {
    this.#leave();
    this.#onPeeked({ kind: 'refused', alert, problem });
  }

  #gone(): void {
    this.#leave();
    this.#onPeeked({ kind: 'closed', bytes: this.#held.length });
  }

  #leave(): void {
    clearTimeout(this.#deadline);
    if (this.#options.budget !== undefined) this.#options.budget.remaining += this.#held.length;
    this.#raw.off('data', this.#rawOnData).off('end', this.#rawOnEnd).off('close', this.#rawOnClose);
  }
}
