/** Bounds what is under way at the same time: whatever is over it waits for its turn, in the order in which it came. */
export class Turns {
  readonly #most: number;
  readonly #waiting = new Set<() => void>();
  #busy = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Nothing is under way, and nothing waits. */
  get isIdle(): boolean {
    return this.#busy === 0;
  }

  /** Works once it is its turn, which lasts until `work` has settled. Rejects with the signal's reason where that comes first. */
  async during<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#busy < this.#most) this.#busy += 1;
    // Whoever ends a turn hands it over.
    else await this.#handedOver(signal);
    try {
      return await work();
    } finally {
      this.#pass();
    }
  }

  #pass(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#busy -= 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }

  #handedOver(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const next = () => {
      signal.removeEventListener('abort', signalOnAbort);
      resolve();
    };
    const signalOnAbort = () => {
      this.#waiting.delete(next);
      reject(signal.reason);
    };
    this.#waiting.add(next);
    signal.addEventListener('abort', signalOnAbort, { once: true });
    return promise;
  }
}
