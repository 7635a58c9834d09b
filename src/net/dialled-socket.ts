import type { Duplex } from 'node:stream';
import { StreamSocket } from './stream-socket.ts';

/**
 * A stream that is still being dialled, as clients of node:http may have it: what is written waits for it, a dial that fails is its
 * `error`, and destroying it ends the dial. A client that is given a connection once that is open tells nobody when it is given
 * up before.
 */
export class DialledSocket extends StreamSocket {
  readonly #dial: (signal: AbortSignal) => Promise<Duplex>;
  readonly #left = new AbortController();

  constructor(dial: (signal: AbortSignal) => Promise<Duplex>) {
    super();
    this.#dial = dial;
  }

  override _construct(callback: (error?: Error | null) => void): void {
    this.#dial(this.#left.signal).then(
      (stream) => {
        this.join(stream);
        callback();
      },
      // Who gave it up has said why.
      (error: Error) => callback(this.destroyed ? null : error),
    );
  }

  override destroy(error?: Error): this {
    this.#left.abort(error);
    return super.destroy(error);
  }
}
