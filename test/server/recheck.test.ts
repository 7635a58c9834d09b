import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { BackdialError } from '../../src/core/errors.ts';
import { recheck } from '../../src/server/recheck.ts';

const BUSY = new BackdialError('connection-limit');

/** Something open, judged anew by a fake clock; what it was ended for. */
function start(t: TestContext, judge: () => Promise<void>) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const told: (string | null)[] = [];
  const state = { isOpen: true };
  const over = recheck({ isOpen: () => state.isOpen, judge, revoke: (error) => told.push(error?.code ?? null) });
  /** In steps, so that what waits for a timer comes to its next one. */
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 50) {
      t.mock.timers.tick(50);
      await new Promise(setImmediate);
    }
  };
  return { told, state, over, pass };
}

test('what cannot be judged, for too many checks wait, is asked again and ended after 4 s', async (t) => {
  let asked = 0;
  const { told, state, over, pass } = start(t, () => {
    asked += 1;
    return Promise.reject(BUSY);
  });
  await pass(3_900);
  assert.deepEqual(told, []);
  assert.ok(asked >= 30 && asked <= 40, `${asked} times`);
  await pass(100);
  assert.deepEqual(told, [null]);
  state.isOpen = false;
  await pass(100);
  await over;
});

test('a check that is answered by nobody ends it after 4 s, too', async (t) => {
  const { told, pass } = start(t, () => new Promise(() => {}));
  await pass(4_000);
  assert.deepEqual(told, [null]);
});

test('a verdict is the end of it: whoever may go on is not ended later, whoever may not is ended once', async (t) => {
  const may = start(t, () => Promise.resolve());
  await may.over;
  await may.pass(5_000);
  assert.deepEqual(may.told, []);
  t.mock.timers.reset();
  const mayNot = start(t, () => Promise.reject(new BackdialError('secret-wrong')));
  await mayNot.over;
  await mayNot.pass(5_000);
  assert.deepEqual(mayNot.told, ['secret-wrong']);
});

test('what ended by itself is not judged', async (t) => {
  let asked = 0;
  const { told, state, over, pass } = start(t, () => {
    asked += 1;
    return Promise.reject(BUSY);
  });
  await new Promise(setImmediate);
  state.isOpen = false;
  await pass(200);
  await over;
  await pass(5_000);
  assert.equal(asked, 1);
  assert.deepEqual(told, []);
});
