import { BackdialError } from '../core/errors.ts';

/** Dials that wait for a tunnel at the same time. */
const MAX_WAITING = 10_000;

/** Lets dials wait for tunnels that are to come. */
export class Arrivals {
  readonly #source: { onAdded(listener: () => void): () => void };
  readonly #closed = new AbortController();
  #waiting = 0;

  constructor(source: { onAdded(listener: () => void): () => void }) {
    this.#source = source;
  }

  /**
   * Resolves when a tunnel, whosever, came, or `waitMs` are over. Fails with `dial-aborted` (the signal's reason is its
   * `cause`), `tunnel-draining` after `close()`, or `stream-limit` where too many wait already. Nothing is left behind.
   */
  async wait(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiting >= MAX_WAITING) throw new BackdialError('stream-limit', `${MAX_WAITING} dials wait already`);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const signalOnAbort = (): void => reject(new BackdialError('dial-aborted', undefined, { cause: signal?.reason }));
    const closedOnAbort = (): void => reject(new BackdialError('tunnel-draining', 'the server is closing'));
    if (signal?.aborted === true) signalOnAbort();
    if (this.#closed.signal.aborted) closedOnAbort();
    const timer = setTimeout(resolve, waitMs);
    const stop = this.#source.onAdded(resolve);
    signal?.addEventListener('abort', signalOnAbort);
    this.#closed.signal.addEventListener('abort', closedOnAbort);
    this.#waiting += 1;
    try {
      await promise;
    } finally {
      this.#waiting -= 1;
      clearTimeout(timer);
      stop();
      signal?.removeEventListener('abort', signalOnAbort);
      this.#closed.signal.removeEventListener('abort', closedOnAbort);
    }
  }

  /** Nobody is to come any more: all who wait are told. */
  close(): void {
    this.#closed.abort();
  }
}
