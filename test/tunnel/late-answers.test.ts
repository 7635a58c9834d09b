import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnedPair } from '../support/turned-pair.ts';
import { eventually, within } from '../support/within.ts';

const TIMEOUTS = { readMs: 1_000, writeMs: 1_000 };
const DIAL = { way: 'library', transaction: '0' } as const;
/** nghttp2 bears 10,000 answers to streams that were reset, and 330 more a second. */
const MORE_THAN_A_SESSION_BEARS = 12_500;
const AT_ONCE = 200;
/** A dial never reaches it, however busy the machine is. */
const LONG_MS = 120_000;

/** Waits until `condition` holds, also where the timers of the process are the test's. */
async function inSomeTurn(condition: () => boolean): Promise<void> {
  const endMs = Date.now() + LONG_MS / 2;
  while (!condition()) {
    assert.ok(Date.now() < endMs, 'it never came to that');
    await new Promise(setImmediate);
  }
}

test('dials that are given up just as the agent answers them, however many, do not end the tunnel', async () => {
  const givenUp: AbortController[] = [];
  const pair = await turnedPair(
    (incoming) => {
      incoming.accept(TIMEOUTS).resume();
      // The answer is on its way, and the reset meets it there.
      givenUp.shift()?.abort();
    },
    { dialTimeoutMs: LONG_MS },
  );
  try {
    let dials = 0;
    const oneAfterTheOther = async (): Promise<void> => {
      while (dials < MORE_THAN_A_SESSION_BEARS) {
        dials += 1;
        const visitor = new AbortController();
        givenUp.push(visitor);
        await assert.rejects(pair.server.open('www.test', { ...DIAL, signal: visitor.signal }), {
          code: 'dial-aborted',
        });
      }
    };
    await within('the dials', Promise.all(Array.from({ length: AT_ONCE }, oneAfterTheOther)), LONG_MS);
    assert.equal(pair.server.usable, true);
    const stream = await within('a dial after them', pair.server.open('www.test', DIAL));
    stream.destroy();
    await inSomeTurn(() => pair.server.streamCount === 0);
    const timers = process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    assert.ok(timers < 100, `${timers} timers are left`);
  } finally {
    pair.close();
  }
});

test('a dial that was given up and is never answered is reset after the deadline', async (t) => {
  const pair = await turnedPair(() => {}, { concurrency: 10_000, dialTimeoutMs: LONG_MS });
  try {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    // What may be reset at once grows with the time that passes.
    const nowMs = performance.now();
    const clock = t.mock.method(performance, 'now', () => nowMs);
    const dials = Array.from({ length: 6_000 }, () => {
      const visitor = new AbortController();
      const dial = pair.server.open('www.test', { ...DIAL, signal: visitor.signal });
      visitor.abort();
      return assert.rejects(dial, { code: 'dial-aborted' });
    });
    clock.mock.restore();
    await Promise.all(dials);
    await inSomeTurn(() => pair.server.streamCount <= 1_000);
    t.mock.timers.tick(LONG_MS - 1);
    await new Promise(setImmediate);
    assert.equal(pair.server.streamCount, 1_000, 'the others wait for their answers');
    t.mock.timers.tick(1);
    await inSomeTurn(() => pair.server.streamCount === 0);
    assert.equal(pair.server.usable, true);
  } finally {
    pair.close();
  }
});

test('a dial that is given up is reset at once while few are', async () => {
  const pair = await turnedPair(() => {}, { dialTimeoutMs: LONG_MS });
  try {
    const visitor = new AbortController();
    const dial = pair.server.open('www.test', { ...DIAL, signal: visitor.signal });
    visitor.abort();
    await assert.rejects(dial, { code: 'dial-aborted' });
    await eventually('the reset, long before the deadline', () => pair.server.streamCount === 0);
  } finally {
    pair.close();
  }
});
