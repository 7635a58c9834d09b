import assert from 'node:assert/strict';
import test from 'node:test';
import { StreamGate } from '../../src/server/stream-gate.ts';

const { signal } = new AbortController();

test('a limit that is raised lets in who waits already, in order, and then who comes', async () => {
  const gate = new StreamGate();
  assert.ok(gate.tryEnter(1));
  assert.ok(!gate.tryEnter(1));
  const waiting = [gate.wait(signal), gate.wait(signal)];
  assert.ok(gate.tryEnter(4));
  await Promise.all(waiting);
  assert.ok(!gate.tryEnter(4));
  for (let left = 0; left < 4; left += 1) gate.leave();
  assert.ok(gate.idle);
});

test('who is gone already does not wait for a place', async () => {
  const gate = new StreamGate();
  assert.ok(gate.tryEnter(1));
  const gone = new Error('gone');
  await assert.rejects(gate.wait(AbortSignal.abort(gone)), gone);
  gate.leave();
  assert.ok(gate.idle);
});

test('a limit that is lowered holds as soon as enough have left, also while others wait', async () => {
  const gate = new StreamGate(50);
  for (let count = 0; count < 3; count += 1) assert.ok(gate.tryEnter(3));
  assert.ok(!gate.tryEnter(1));
  const waiting = gate.wait(signal);
  gate.leave();
  gate.leave();
  await assert.rejects(waiting, { code: 'stream-limit' });
  assert.ok(!gate.tryEnter(1));
  gate.leave();
  assert.ok(gate.tryEnter(1));
});

test('a hundred may wait, and no more: the next is refused at once', async () => {
  const gate = new StreamGate();
  assert.ok(gate.tryEnter(1));
  const stop = new AbortController();
  const waiting = Array.from({ length: 100 }, () => gate.wait(stop.signal));
  await assert.rejects(gate.wait(signal), { code: 'stream-limit', message: /100 are waiting already/ });
  gate.leave();
  await waiting.shift();
  const last = gate.wait(signal);
  stop.abort(new Error('they left'));
  assert.ok((await Promise.allSettled(waiting)).every(({ status }) => status === 'rejected'));
  gate.leave();
  await last;
});
