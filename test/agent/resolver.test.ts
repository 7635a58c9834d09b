import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Resolver } from '../../src/agent/resolver.ts';
import type { BackdialError } from '../../src/core/errors.ts';
import { eventually } from '../support/within.ts';

type Answer = readonly string[] | string;

/** A resolver whose look-ups give the answers in turn (a string is an error's code), the last one for ever. */
function startResolver(answers: readonly Answer[]) {
  let asked = 0;
  const changes: string[] = [];
  const failures: Array<{ error: BackdialError; attempt: number; retryInMs: number }> = [];
  const resolver = new Resolver({
    resolveIntervalMs: 10,
    backoff: { baseMs: 5, capMs: 10, random: () => 0.999 },
    lookup: async () => {
      const answer = answers[Math.min(asked, answers.length - 1)] ?? 'ENOTFOUND';
      asked += 1;
      if (typeof answer === 'string') throw Object.assign(new Error(answer), { code: answer });
      return answer;
    },
  });
  const listener = {
    addressesOnChange: (addresses: readonly string[]) => void changes.push(addresses.join(' ')),
    lookupOnFail: (error: BackdialError, attempt: number, retryInMs: number) =>
      void failures.push({ error, attempt, retryInMs }),
  };
  return { resolver, listener, changes, failures, asked: () => asked };
}

describe('a name is resolved continuously', () => {
  test('each change of the addresses is told, once', async () => {
    const run = startResolver([
      ['10.0.0.1'],
      ['10.0.0.1'],
      ['10.0.0.2', '10.0.0.1'],
      ['10.0.0.1', '10.0.0.2'],
      ['::1'],
    ]);
    const stop = run.resolver.watch('www.test', run.listener);
    await eventually('seven look-ups', () => run.asked() >= 7);
    stop();
    assert.deepEqual(run.changes, ['10.0.0.1', '10.0.0.1 10.0.0.2', '::1']);
    assert.deepEqual(run.failures, []);
  });

  test('a temporary failure keeps the addresses, a definite one takes them away', async () => {
    const run = startResolver([['10.0.0.1'], 'EAI_AGAIN', 'ESERVFAIL', 'ETIMEOUT', 'ENOTFOUND', ['10.0.0.2']]);
    const stop = run.resolver.watch('www.test', run.listener);
    await eventually('the name is back', () => run.changes.at(-1) === '10.0.0.2');
    stop();
    assert.deepEqual(run.changes, ['10.0.0.1', '', '10.0.0.2']);
    assert.equal(run.failures.length, 1);
    assert.equal(run.failures[0]?.error.code, 'server-unresolved');
    assert.match(run.failures[0]?.error.message ?? '', /www\.test \(ENOTFOUND\)/);
  });

  test('a name that never resolved is asked for again and again, with back-off', async () => {
    const run = startResolver(['EAI_AGAIN']);
    const stop = run.resolver.watch('www.test', run.listener);
    await eventually('four failures', () => run.failures.length >= 4);
    stop();
    assert.deepEqual(run.changes, []);
    assert.deepEqual(
      run.failures.slice(0, 4).map(({ attempt, retryInMs }) => [attempt, retryInMs]),
      [
        [1, 4],
        [2, 9],
        [3, 9],
        [4, 9],
      ],
    );
  });

  test('two that watch one name share its look-ups; the last to leave ends them', async () => {
    const run = startResolver([['10.0.0.1']]);
    const stops = [run.resolver.watch('www.test', run.listener), run.resolver.watch('www.test', run.listener)];
    const other = startResolver([]);
    stops.push(run.resolver.watch('www.test', other.listener));
    await eventually('both know', () => run.changes.length > 0 && other.changes.length > 0);
    for (const stop of stops) stop();
    const asked = run.asked();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(run.asked() <= asked + 1);
  });

  test('an IP address is its own answer', () => {
    const run = startResolver([]);
    run.resolver.watch('2001:db8::1', run.listener);
    assert.deepEqual(run.changes, ['2001:db8::1']);
    assert.equal(run.asked(), 0);
  });
});
