import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SendGate } from '../../src/net/send-gate.ts';

const CHUNK = 64 * 1024;
const MOST = 2 * 1024 * 1024;

test('it closes once 2 MB were given and nothing was sent, and opens for what comes when something was', () => {
  const gate = new SendGate();
  for (let bytes = 0; bytes < MOST; bytes += CHUNK) {
    assert.equal(gate.isClosed, false, `after ${bytes}`);
    gate.pass(CHUNK);
  }
  assert.equal(gate.isClosed, true);
  gate.sent();
  assert.equal(gate.isClosed, false);
});

test('who waits is served in order, 2 MB at a time, after all that was sent together has said so', async () => {
  const gate = new SendGate();
  gate.pass(MOST);
  const served = wait(gate, 80);
  for (let sent = 0; sent < 8; sent += 1) gate.sent();
  assert.deepEqual(served, []);
  await new Promise(setImmediate);
  assert.deepEqual(served, upTo(32));
  assert.equal(gate.isClosed, true, 'who comes now waits behind them');
  await new Promise(setImmediate);
  assert.deepEqual(served, upTo(32));
  for (const many of [64, 80]) {
    gate.sent();
    await new Promise(setImmediate);
    assert.deepEqual(served, upTo(many));
  }
  assert.equal(gate.isClosed, false);
});

test('where nothing is sent, for none has credit, the next 2 MB have their turn after a while all the same', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const gate = new SendGate();
  gate.pass(MOST);
  const served = wait(gate, 40);
  t.mock.timers.tick(49);
  assert.deepEqual(served, []);
  t.mock.timers.tick(1);
  assert.deepEqual(served, upTo(32));
  t.mock.timers.tick(50);
  assert.deepEqual(served, upTo(40));
});

function wait(gate: SendGate, users: number): number[] {
  const served: number[] = [];
  for (const user of upTo(users)) {
    gate.wait({
      gateOnOpen() {
        served.push(user);
        gate.pass(CHUNK);
      },
    });
  }
  return served;
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
