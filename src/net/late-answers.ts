/**
 * nghttp2 counts a HEADERS frame for a stream that it has reset as a glitch of the peer, and ends the session with
 * ENHANCE_YOUR_CALM after 10,000 of them and 330 a second (`NGHTTP2_DEFAULT_GLITCH_BURST`, `_RATE`; Node sets neither). A reset that
 * crosses its answer is nobody's fault, so we stay at half of that.
 */
const BURST = 5_000;
const PER_SECOND = 165;

/** How many streams of a client's session may be reset before they are answered, so that their answers come late. */
export class LateAnswers {
  #left = BURST;
  #asOf = performance.now();

  /** False where no more may be: a stream has to wait for its answer before it is reset, or the next one for another session. */
  take(): boolean {
    const now = performance.now();
    this.#left = Math.min(BURST, this.#left + ((now - this.#asOf) * PER_SECOND) / 1_000);
    this.#asOf = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
