import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnedPair } from '../support/turned-pair.ts';
import { eventually, within } from '../support/within.ts';

const TIMEOUTS = { readMs: 1_000, writeMs: 1_000 };
const DIAL = { way: 'library', transaction: '0' } as const;
/** nghttp2 bears 10,000 answers to streams that were reset, and 330 more a second. */
const MORE_THAN_A_SESSION_BEARS = 12_500;
const AT_ONCE = 200;

test('dials that are given up just as the agent answers them, however many, do not end the tunnel', async () => {
  const givenUp: AbortController[] = [];
  const pair = await turnedPair((incoming) => {
    incoming.accept(TIMEOUTS).resume();
    // The answer is on its way, and the reset meets it there.
    givenUp.shift()?.abort();
  });
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
    await within('the dials', Promise.all(Array.from({ length: AT_ONCE }, oneAfterTheOther)), 30_000);
    assert.equal(pair.server.usable, true);
    const stream = await within('a dial after them', pair.server.open('www.test', DIAL));
    stream.destroy();
    while (pair.server.streamCount > 0) await new Promise(setImmediate);
    const timers = process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    assert.ok(timers < 100, `${timers} timers are left`);
  } finally {
    pair.close();
  }
});

test('a dial that was given up and is never answered is reset after the deadline', async () => {
  const pair = await turnedPair(() => {}, { concurrency: 10_000 });
  try {
    const dials = Array.from({ length: 6_000 }, () => {
      const visitor = new AbortController();
      const dial = pair.server.open('www.test', { ...DIAL, signal: visitor.signal });
      visitor.abort();
      return assert.rejects(dial, { code: 'dial-aborted' });
    });
    await within('the rejections', Promise.all(dials));
    await eventually('those that could be reset at once', () => pair.server.streamCount <= 1_000);
    assert.ok(pair.server.streamCount > 0, 'the others wait for their answers');
    await eventually('all', () => pair.server.streamCount === 0);
    assert.equal(pair.server.usable, true);
  } finally {
    pair.close();
  }
});

test('a dial that is given up is reset at once while few are', async () => {
  const pair = await turnedPair(() => {});
  try {
    const visitor = new AbortController();
    const dial = pair.server.open('www.test', { ...DIAL, signal: visitor.signal });
    visitor.abort();
    const begunAt = performance.now();
    await assert.rejects(dial, { code: 'dial-aborted' });
    await eventually('the reset', () => pair.server.streamCount === 0);
    // The deadline of a dial is 2,000.
    assert.ok(performance.now() - begunAt < 1_000);
  } finally {
    pair.close();
  }
});
