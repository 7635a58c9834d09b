import assert from 'node:assert/strict';
import test from 'node:test';
import { lookEveryMs, StallJudge } from '../../src/net/stall-judge.ts';

/** What is judged of time-outs at these moments, ms, where 20 s are allowed. */
function judged(...moments: number[]): boolean[] {
  const judge = new StallJudge();
  return moments.map((now) => judge.isOver(20_000, now));
}

test('a time-out is looked at four times in the time that is allowed; none stays none', () => {
  assert.deepEqual([20_000, 1, 0].map(lookEveryMs), [5_000, 1, 0]);
});

test('nothing is taken: the fourth look without a pause says that the time is over', () => {
  // Node keeps quiet at the first of its looks, 5 s after the bytes were handed over.
  assert.deepEqual(judged(10_000, 15_000, 20_003, 25_010), [false, false, false, true]);
});

test('some is taken now and then: Node keeps quiet in between, and the time begins anew', () => {
  assert.deepEqual(judged(10_000, 15_000, 20_000, 30_000, 35_000, 40_000, 45_000), [...Array(6).fill(false), true]);
});
