import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { StallDeadline, StalledPeer, untilLook } from '../../src/net/stalled-peer.ts';

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

const MS = 400;

/** A stream with two writes that wait, each until it is taken, and a deadline of it; time passes when the test says so. */
function waiting(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 1_000;
  t.mock.method(performance, 'now', () => nowMs);
  const writes: (() => void)[] = [];
  const stream = new Duplex({ read() {}, write: (_part, _encoding, done) => void writes.push(done) });
  let stalls = 0;
  const deadline = new StallDeadline(stream, () => {
    stalls += 1;
  });
  for (let n = 0; n < 2; n += 1) stream.write(Buffer.alloc(1_000));
  return {
    deadline,
    take: () => writes.shift()?.(),
    begin(ms: number): void {
      nowMs += ms;
      t.mock.timers.tick(ms);
    },
    stallsAfter(ms: number): Promise<number> {
      this.begin(ms);
      return new Promise((resolve) => setImmediate(() => resolve(stalls)));
    },
  };
}

test('a deadline passes once, when nothing was taken for all of its time', async (t) => {
  const { deadline, take, ...kit } = waiting(t);
  deadline.arm(MS);
  assert.equal(await kit.stallsAfter(MS / 2), 0);
  take();
  assert.equal(await kit.stallsAfter(MS / 2), 0, 'some was taken');
  assert.equal(await kit.stallsAfter(MS / 2), 0);
  assert.equal(await kit.stallsAfter(MS / 2), 1);
  assert.equal(await kit.stallsAfter(10 * MS), 1);
});

test('a deadline that is disarmed or armed anew while the kernel is asked says nothing', async (t) => {
  const { deadline, take: _take, ...kit } = waiting(t);
  for (const change of [() => deadline.disarm(), () => deadline.close(), () => deadline.arm(10 * MS)]) {
    deadline.arm(MS);
    await kit.stallsAfter(MS / 2);
    kit.begin(MS / 2);
    change();
    assert.equal(await kit.stallsAfter(MS), 0);
  }
});
