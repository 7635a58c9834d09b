/** Starts with the server; ends the wait for tunnels, ms. Agents whose server is gone dial again within 4 s (design 3.2). */
export const FIRST_TUNNELS_MS = 5_000;
/** How often those who wait look again, ms. */
const LOOK_MS = 50;

/**
 * Lets visitors wait who come right after a restart behind a socket that outlived it: they stand in its queue among the agents,
 * and would find their domain unserved. Whoever would get the answer that gives nothing away (design 6.5) waits, be it for a name
 * that does not exist, and gets it at the same moment as all others.
 */
export class FirstTunnels {
  #until: number;
  #look: PromiseWithResolvers<void> | null = null;
  #timer: NodeJS.Timeout | undefined;

  /** `waitMs`: 0 lets nobody wait. */
  constructor(waitMs: number) {
    this.#until = performance.now() + waitMs;
  }

  /** Resolves when it is time to look again, and to ask again; null: the wait is over. */
  next(): Promise<void> | null {
    const leftMs = this.#until - performance.now();
    if (leftMs <= 0) return null;
    if (this.#look === null) {
      this.#look = Promise.withResolvers();
      this.#timer = setTimeout(this.#wake, Math.min(LOOK_MS, leftMs));
      this.#timer.unref();
    }
    return this.#look.promise;
  }

  /** Nobody waits any more. Idempotent. */
  end(): void {
    this.#until = 0;
    clearTimeout(this.#timer);
    this.#wake();
  }

  readonly #wake = (): void => {
    const look = this.#look;
    this.#look = null;
    look?.resolve();
  };
}
