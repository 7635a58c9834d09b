import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { inTime } from '../../src/core/in-time.ts';

const never = new Promise<string>(() => {});

test('what comes in time is given, and leaves no timer and no listener behind', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
  const [before, { signal }] = [timers(), new AbortController()];
  assert.equal(await inTime(Promise.resolve('found'), 5_000, signal), 'found');
  await assert.rejects(inTime(Promise.reject(new Error('no such name')), 5_000, signal), { message: 'no such name' });
  assert.equal(timers(), before);
  assert.deepEqual(getEventListeners(signal, 'abort'), []);
});

test('what comes too late is told with its time', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const waiting = inTime(never, 5_000);
  context.mock.timers.tick(4_999);
  assert.equal(await Promise.race([waiting, Promise.resolve('waits')]), 'waits');
  context.mock.timers.tick(1);
  await assert.rejects(waiting, { message: 'no answer within 5000 ms' });
});

test('an abort, be it before, ends the wait with its reason', async () => {
  const controller = new AbortController();
  const waiting = inTime(never, 5_000, controller.signal);
  controller.abort(new Error('the visitor left'));
  await assert.rejects(waiting, { message: 'the visitor left' });
  await assert.rejects(inTime(never, 5_000, controller.signal), { message: 'the visitor left' });
});
