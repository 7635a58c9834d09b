/** In how many parts the time is cut in which a visitor must take a byte: it ends after at most one part more. */
const LOOKS = 4;

/** What `setTimeout` of a socket or a stream is given while bytes wait for a visitor that has `writeMs` to take some. 0: never. */
export function lookEveryMs(writeMs: number): number {
  return Math.ceil(writeMs / LOOKS);
}

/**
 * Judges the `timeout` events of a socket or a stream of HTTP/2. Node sees whether bytes were taken only by comparing what it
 * finds when its timer fires with what it found before, and its first look always finds a difference: given the whole time it
 * would speak of a visitor that takes nothing after twice that.
 */
export class StallJudge {
  #looks = 0;
  #lastAt = Number.NEGATIVE_INFINITY;

  /** To ask at each event: true when no byte was taken for `writeMs`; else the time-out is to be set again. */
  isOver(writeMs: number, now = performance.now()): boolean {
    // Where some were taken Node has kept quiet at least once between two events.
    const inARow = now - this.#lastAt < 1.75 * lookEveryMs(writeMs);
    this.#lastAt = now;
    this.#looks = inARow ? this.#looks + 1 : 1;
    return this.#looks >= LOOKS;
  }
}
