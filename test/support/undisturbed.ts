import type { TestContext } from 'node:test';
import { withDeadline } from './within.ts';

/** Those of the machine, also for a test that has timers of its own. */
const { setInterval, clearInterval } = globalThis;
const clock = performance.now.bind(performance);

const LOOK_MS = 5;
/** Who waits no longer for the core is not held up. */
const HELD_UP_MS = 25;
const ATTEMPTS = 5;
/** Of an attempt that another one may follow. */
const DEADLINE_MS = 20_000;

/**
 * A test that has to do something before a short time of the real clock is over: what fails while this process was held up
 * says nothing of what is tested, so it is run again, five times at most. A failure without such a pause is one at once. Only
 * for a test that cleans up behind itself.
 */
export function undisturbed(body: (t: TestContext) => Promise<void>): (t: TestContext) => Promise<void> {
  return async (t) => {
    for (let left = ATTEMPTS - 1; left > 0; left -= 1) {
      const pauses = watchPauses();
      try {
        return await withDeadline(DEADLINE_MS, () => body(t));
      } catch (error) {
        if (pauses.longestMs() < HELD_UP_MS) throw error;
        t.mock.reset();
        t.diagnostic(`again, after a pause of ${Math.round(pauses.longestMs())} ms: ${error}`);
      } finally {
        pauses.end();
      }
    }
    return body(t);
  };
}

/** Tells for how long the event loop did not turn. */
function watchPauses() {
  let [longest, seenAt] = [0, clock()];
  const look = (): void => {
    const now = clock();
    longest = Math.max(longest, now - seenAt);
    seenAt = now;
  };
  const timer = setInterval(look, LOOK_MS);
  return {
    longestMs(): number {
      look();
      return longest;
    },
    end: () => clearInterval(timer),
  };
}
