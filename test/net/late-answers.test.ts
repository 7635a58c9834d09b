import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LateAnswers } from '../../src/net/late-answers.ts';

test('some thousands of streams may be reset unanswered at once, and then few a second', () => {
  const lateAnswers = new LateAnswers();
  const taken = Array.from({ length: 10_000 }, () => lateAnswers.take()).filter(Boolean).length;
  assert.ok(taken >= 4_000 && taken <= 6_000, String(taken));
});
