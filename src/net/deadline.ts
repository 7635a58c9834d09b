/**
 * A deadline that is armed and disarmed often and passes rarely: arming costs no timer while an earlier one still runs.
 * The timer does not keep the process alive.
 */
export class Deadline {
  readonly #onPassed: () => void;
  #at = 0;
  #timer: NodeJS.Timeout | null = null;
  #timerAt = 0;

  constructor(onPassed: () => void) {
    this.#onPassed = onPassed;
  }

  get armed(): boolean {
    return this.#at !== 0;
  }

  /** Passes in `ms` from now, instead of what was armed before. 0: never. */
  arm(ms: number): void {
    if (ms === 0) {
      this.#at = 0;
      return;
    }
    this.#at = performance.now() + ms;
    if (this.#timer === null || this.#timerAt > this.#at) this.#schedule(ms);
  }

  /** Keeps a timer that runs: the next `arm` will be glad of it. */
  disarm(): void {
    this.#at = 0;
  }

  /** Disarms for good and leaves no timer behind. */
  close(): void {
    this.#at = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #schedule(ms: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAt = performance.now() + ms;
    this.#timer = setTimeout(this.#timerOnFire, ms);
    this.#timer.unref();
  }

  readonly #timerOnFire = (): void => {
    this.#timer = null;
    if (this.#at === 0) return;
    // A timer may fire up to 1 ms early.
    const left = this.#at - performance.now();
    if (left > 1) {
      this.#schedule(Math.ceil(left));
      return;
    }
    this.#at = 0;
    this.#onPassed();
  };
}
