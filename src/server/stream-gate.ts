import { BackdialError } from '../core/errors.ts';
import { Deadline } from '../net/deadline.ts';

/** How many may wait for a domain's streams. */
export const MAX_WAITING = 100;
/** How long one may wait, ms. */
export const MAX_WAIT_MS = 5_000;

interface Waiter {
  readonly until: number;
  readonly admit: () => void;
  readonly refuse: (error: BackdialError) => void;
}

/** Exchanges at the same time, for one domain: `limit` run, a few wait a little, the rest are refused. */
export class StreamGate {
  readonly #maxWaitMs: number;
  readonly #waiting: Waiter[] = [];
  readonly #deadline = new Deadline(() => this.#refuseLate());
  #running = 0;
  /** As it was told last: it may be changed at any time. */
  #limit = 0;

  constructor(maxWaitMs = MAX_WAIT_MS) {
    this.#maxWaitMs = maxWaitMs;
  }

  get idle(): boolean {
    return this.#running === 0 && this.#waiting.length === 0;
  }

  /** True: in at once; each `true` and each resolved {@link wait} is owed a {@link leave}. */
  tryEnter(limit: number): boolean {
    this.#limit = limit;
    this.#admit();
    if (this.#running >= limit || this.#waiting.length > 0) return false;
    this.#running += 1;
    return true;
  }

  /** Resolves when another one left. Rejects with `stream-limit`, or with the signal's reason. */
  wait(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(new BackdialError('stream-limit', `${MAX_WAITING} are waiting already`));
    }
    return new Promise((resolve, reject) => {
      const signalOnAbort = (): void => {
        const at = this.#waiting.indexOf(waiter);
        if (at !== -1) this.#waiting.splice(at, 1);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        until: performance.now() + this.#maxWaitMs,
        admit: () => {
          signal.removeEventListener('abort', signalOnAbort);
          resolve();
        },
        refuse: (error) => {
          signal.removeEventListener('abort', signalOnAbort);
          reject(error);
        },
      };
      signal.addEventListener('abort', signalOnAbort, { once: true });
      this.#waiting.push(waiter);
      if (!this.#deadline.armed) this.#deadline.arm(this.#maxWaitMs);
    });
  }

  leave(): void {
    this.#running -= 1;
    // In this very turn: nobody can slip in between.
    this.#admit();
  }

  #admit(): void {
    while (this.#running < this.#limit) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#running += 1;
      next.admit();
    }
  }

  #refuseLate(): void {
    const now = performance.now();
    let first = this.#waiting[0];
    while (first !== undefined && first.until <= now + 1) {
      this.#waiting.shift();
      first.refuse(new BackdialError('stream-limit', `none became free within ${this.#maxWaitMs} ms`));
      first = this.#waiting[0];
    }
    if (first !== undefined) this.#deadline.arm(Math.ceil(first.until - now));
  }
}
