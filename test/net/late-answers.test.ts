import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LateAnswers } from '../../src/net/late-answers.ts';

test('some thousands of streams may be reset unanswered at once, and then few a second', () => {
  const lateAnswers = new LateAnswers();
  const taken = Array.from({ length: 10_000 }, () => lateAnswers.take()).filter(Boolean).length;
  assert.ok(taken >= 4_000 && taken <= 6_000, String(taken));
});

test('what was used up comes back, some a second, and no more than at first', (context) => {
  let nowMs = 0;
  context.mock.method(performance, 'now', () => nowMs);
  const lateAnswers = new LateAnswers();
  const takeAll = (): number => {
    let count = 0;
    while (lateAnswers.take()) count += 1;
    return count;
  };
  const first = takeAll();
  nowMs += 10_000;
  const inTenSeconds = takeAll();
  assert.ok(inTenSeconds > 1_000 && inTenSeconds <= 3_300, String(inTenSeconds));
  nowMs += 86_400_000;
  assert.equal(takeAll(), first);
});
