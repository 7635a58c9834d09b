import assert from 'node:assert/strict';
import test from 'node:test';
import { StalledPeer, untilLook } from '../../src/net/stalled-peer.ts';

/** No connection: the kernel tells nothing of it, which is always the same. */
const UNKNOWN = {};

test('a peer is looked at twice in its time', () => {
  assert.deepEqual([20_000, 3, 0].map(untilLook), [10_000, 2, 0]);
});

test('a peer is stalled at the second of two looks that see the same, and only where nothing left in between', async (t) => {
  let nowMs = 1_000;
  t.mock.method(performance, 'now', () => nowMs);
  const peer = new StalledPeer(UNKNOWN);
  const lookAfter = (ms: number): Promise<boolean> => {
    nowMs += ms;
    return peer.look(20_000);
  };
  assert.equal(await lookAfter(0), false);
  assert.equal(await lookAfter(10_000), true);
  // A look was due in between, and did not come: some had left.
  assert.equal(await lookAfter(15_000), false);
  assert.equal(await lookAfter(14_999), true);
});
