import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { BackdialError } from '../../src/core/errors.ts';
import type { Holder } from '../../src/server/holder.ts';
import { OpenGrants } from '../../src/server/open-grants.ts';

const SHOWN = { credentials: null, chain: [], host: 'www.test' };
const FORMER = {} as Holder;
const CURRENT = {} as Holder;

/** Something open under a grant of `FORMER`, which is in force no more; `identify` says who shows it now. */
function open(identify: () => Promise<Holder | 'secret-wrong'>, isGranted: (holder: Holder) => boolean = () => true) {
  let asked = 0;
  const grants = new OpenGrants({
    isCurrent: (holder) => holder === CURRENT,
    identify: () => {
      asked += 1;
      return identify();
    },
  });
  const { signal } = grants.add({ shown: SHOWN, holder: FORMER, isGranted });
  return { grants, signal, asked: () => asked };
}

/** By a fake clock, in steps, so that what waits for a timer comes to its next one. */
async function pass(t: TestContext, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    t.mock.timers.tick(100);
    await new Promise(setImmediate);
  }
}

test('what is granted to nobody any more is ended, and so is what cannot be judged', async () => {
  for (const { signal, grants } of [
    open(() => Promise.resolve('secret-wrong')),
    open(
      () => Promise.resolve(CURRENT),
      (holder) => holder === FORMER,
    ),
    open(() => Promise.reject(new BackdialError('internal'))),
  ]) {
    grants.recheck();
    await new Promise(setImmediate);
    assert.equal(signal.aborted, true);
  }
});

test('who was found again is not asked for again until something changes', async () => {
  const { grants, signal, asked } = open(() => Promise.resolve(CURRENT));
  for (let i = 0; i < 3; i += 1) {
    grants.recheck();
    await new Promise(setImmediate);
  }
  assert.equal(signal.aborted, false);
  assert.equal(asked(), 1);
});

test('what cannot be judged in time is ended, and judged no more', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { grants, signal, asked } = open(() => Promise.reject(new BackdialError('connection-limit')));
  grants.recheck();
  await pass(t, 3_900);
  assert.equal(signal.aborted, false);
  await pass(t, 100);
  assert.equal(signal.aborted, true);
  const before = asked();
  await pass(t, 1_000);
  assert.equal(asked(), before);
});
