import assert from 'node:assert/strict';
import { syncBuiltinESMExports } from 'node:module';
import { type TestContext, test } from 'node:test';
import { crashHandler, drainOnCrash } from '../../src/cli/crash.ts';
import { openKept } from '../support/log-options.ts';

/** A program whose drain ends when the test says so; in played time. */
function crashing(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  syncBuiltinESMExports();
  const logs = openKept({});
  t.after(() => logs.close());
  const drained = Promise.withResolvers<void>();
  const drains: number[] = [];
  drainOnCrash(logs, ({ drainMs }) => {
    drains.push(drainMs);
    return drained.promise;
  });
  const crash = (message: string) => {
    const state = { isOver: false };
    void crashHandler()?.(new Error(message), 'uncaughtException').then(() => {
      state.isOver = true;
    });
    return state;
  };
  return { logs, drained, drains, crash };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a second fault while the first is drained is logged, and neither ends the program sooner nor drains again', async (t) => {
  const { logs, drained, drains, crash } = crashing(t);
  const first = crash('one');
  const second = crash('two');
  await turn();
  assert.deepEqual([first.isOver, second.isOver, drains], [false, false, [1_000]]);
  assert.match(logs.shown(), /caught: one[\s\S]*caught: two/);
  drained.resolve();
  await turn();
  assert.deepEqual([first.isOver, second.isOver], [true, false]);
});

test('a drain that fails ends the program at once', async (t) => {
  const { drained, crash } = crashing(t);
  const only = crash('one');
  drained.reject(new Error('broken'));
  await turn();
  assert.equal(only.isOver, true);
});

test('a drain that never ends is waited for 2.5 s', async (t) => {
  const { crash } = crashing(t);
  const only = crash('one');
  t.mock.timers.tick(2_499);
  await turn();
  assert.equal(only.isOver, false);
  t.mock.timers.tick(1);
  await turn();
  assert.equal(only.isOver, true);
});
