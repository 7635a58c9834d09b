import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { watchLiveness, watchSilence } from '../../src/tunnel/liveness.ts';
import { FaultyLink } from '../support/faulty-link.ts';
import { turnedPair } from '../support/turned-pair.ts';
import { undisturbed } from '../support/undisturbed.ts';

const QUICK = { pingIntervalMs: 100, pingTimeoutMs: 150 };
const DIAL = { way: 'tcp', transaction: '0' } as const;
const TIMEOUTS = { readMs: 0, writeMs: 0 };

test(
  'a black hole is noticed by both sides, and what was in flight is cut with agent-silent',
  undisturbed(async () => {
    const links: FaultyLink[] = [];
    const through = async (port: number): Promise<number> => {
      const link = await FaultyLink.to(port);
      links.push(link);
      return link.port;
    };
    const pair = await turnedPair((stream) => void stream.accept(TIMEOUTS).resume(), { liveness: QUICK, through });
    try {
      const stream = await pair.server.open('www.test', DIAL);
      const cut = once(stream, 'error');
      links[0]?.stall();
      assert.equal((await pair.server.closed).reason, 'silent');
      assert.equal((await pair.agent.closed).reason, 'silent');
      assert.equal(((await cut)[0] as { code: string }).code, 'agent-silent');
      assert.equal(pair.server.usable, false);
    } finally {
      pair.close();
      for (const link of links) await link.close();
    }
  }),
);

test(
  'a tunnel that only answers PING lives on, and its round trip is known',
  undisturbed(async () => {
    const pair = await turnedPair(() => {}, { liveness: QUICK });
    try {
      const over = Promise.race([pair.server.closed, pair.agent.closed]);
      const waited = new Promise((resolve) => setTimeout(resolve, 8 * QUICK.pingIntervalMs, 'alive'));
      assert.equal(await Promise.race([over, waited]), 'alive');
      assert.ok(pair.server.rttMs !== null && pair.server.rttMs > 0);
      assert.ok(pair.agent.rttMs !== null && pair.agent.rttMs > 0);
    } finally {
      pair.close();
    }
  }),
);

test(
  'traffic counts as life while a PING is still on its way',
  undisturbed(async () => {
    const slow = { pingIntervalMs: 100, pingTimeoutMs: 120 };
    const links: FaultyLink[] = [];
    // The round trip (400 ms) is above the deadline (120 ms), but bytes arrive all the time.
    const through = async (port: number): Promise<number> => {
      const link = await FaultyLink.to(port, { delayMs: 200 });
      links.push(link);
      return link.port;
    };
    const streams: { write(text: string): void }[] = [];
    const pair = await turnedPair((stream) => void streams.push(stream.accept(TIMEOUTS)), {
      liveness: { pingIntervalMs: 60_000, pingTimeoutMs: 60_000 },
      through,
    });
    try {
      const stream = await pair.server.open('www.test', DIAL);
      stream.resume();
      const chatter = setInterval(() => streams[0]?.write('tick'), 20);
      await once(stream, 'data');
      let silent = false;
      const session = (stream as unknown as { session: Http2Session }).session;
      const liveness = watchLiveness(session, pair.serverTls, {
        ...slow,
        onSilent() {
          silent = true;
        },
      });
      while (liveness.rttMs === null) await once(stream, 'data');
      clearInterval(chatter);
      liveness.stop();
      assert.equal(silent, false);
      assert.ok(liveness.rttMs > 300);
    } finally {
      pair.close();
      for (const link of links) await link.close();
    }
  }),
);

const CALM = { pingIntervalMs: 5_000, pingTimeoutMs: 3_500 };

/** What a watch sees of a tunnel whose far end answers and sends when the test says so. */
function fakePeer(options = CALM) {
  let pings = 0;
  let payload = Buffer.alloc(0);
  const ping = (sent: Buffer, onAnswer: (error: Error | null, durationMs: number) => void): boolean => {
    pings += 1;
    payload = Buffer.from(sent);
    peer.answer = () => onAnswer(null, peer.roundTripMs);
    return true;
  };
  const peer = {
    pings: () => pings,
    payload: () => payload,
    roundTripMs: 7,
    isDead: false,
    socket: { bytesRead: 0 },
    session: Object.assign(new EventEmitter(), { destroyed: false, closed: false, ping }),
    answer: (): void => {},
    watch: (watch: typeof watchLiveness) =>
      watch(peer.session as unknown as Http2Session, peer.socket as Socket, {
        ...options,
        onSilent() {
          peer.isDead = true;
        },
      }),
  };
  return peer;
}

/** Lets time pass, then the rest of the event loop's turn. */
async function pass(t: TestContext, ms: number): Promise<void> {
  t.mock.timers.tick(ms);
  await new Promise(setImmediate);
}

test('a tunnel is pinged each interval, and never while a PING is on its way', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  const peer = fakePeer();
  const liveness = peer.watch(watchLiveness);
  assert.equal(peer.pings(), 1, 'at once');
  for (let second = 1; second <= 60; second += 1) {
    peer.socket.bytesRead += 17;
    peer.answer();
    await pass(t, 1_000);
  }
  assert.ok(peer.pings() === 12 || peer.pings() === 13, `${peer.pings()} in a minute`);
  peer.answer();
  const before = peer.pings();
  for (let second = 1; second <= 20; second += 1) {
    // Something arrives, but no answer.
    peer.socket.bytesRead += 17;
    await pass(t, 1_000);
  }
  assert.equal(peer.pings() - before, 1);
  assert.equal(peer.isDead, false);
  liveness.stop();
  peer.answer();
  await pass(t, 60_000);
  assert.equal(peer.pings() - before, 1, 'it has stopped');
});

test('a tunnel that falls silent is dead within interval and deadline, not before', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  const peer = fakePeer();
  const liveness = peer.watch(watchLiveness);
  await pass(t, 1_000);
  peer.answer();
  let silentMs = 0;
  for (; !peer.isDead && silentMs < 60_000; silentMs += 100) await pass(t, 100);
  assert.ok(silentMs >= CALM.pingTimeoutMs && silentMs <= CALM.pingIntervalMs + CALM.pingTimeoutMs, `${silentMs} ms`);
  liveness.stop();
});

for (const watch of [watchLiveness, watchSilence]) {
  test(`${watch.name}: a process that stood still reads what waits for it before it judges`, async (t) => {
    t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
    const peer = fakePeer();
    const liveness = peer.watch(watch);
    t.mock.timers.tick(CALM.pingTimeoutMs);
    // Read in the same turn of the event loop, but after its timers.
    peer.socket.bytesRead += 17;
    await new Promise(setImmediate);
    assert.equal(peer.isDead, false);
    await pass(t, CALM.pingTimeoutMs);
    assert.equal(peer.isDead, true, 'nothing more came');
    liveness.stop();
  });
}

test('a side that is pinged sends no PING of its own: only after a silence, and now and then for the round trip', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  const peer = fakePeer();
  const liveness = peer.watch(watchSilence);
  const passSeconds = async (seconds: number, isHeard: boolean): Promise<void> => {
    for (let second = 1; second <= seconds; second += 1) {
      if (isHeard && second % 5 === 0) peer.socket.bytesRead += 17;
      await pass(t, 1_000);
    }
  };
  assert.equal(peer.pings(), 1);
  peer.answer();
  assert.equal(liveness.rttMs, 7);
  await passSeconds(55, true);
  assert.equal(peer.pings(), 1, 'what arrives is life');
  await passSeconds(5, true);
  assert.equal(peer.pings(), 2, 'after a minute');
  peer.answer();
  await passSeconds(295, true);
  assert.equal(peer.pings(), 2);
  await passSeconds(5, true);
  assert.equal(peer.pings(), 3, 'and then every five');
  peer.answer();
  await passSeconds(6, false);
  assert.equal(peer.pings(), 4, 'after a silence');
  assert.equal(peer.isDead, false);
  await passSeconds(4, false);
  assert.equal(peer.isDead, true, 'within 10 s of the last byte');
  liveness.stop();
});

test('a side that is pinged is told the round trip that its peer measured, and measures none of its own', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  const [pinging, pinged] = [fakePeer(), fakePeer()];
  const all = [pinging.watch(watchLiveness), pinged.watch(watchSilence)];
  const passMinutes = async (minutes: number): Promise<void> => {
    for (let second = 5; second <= minutes * 60; second += 5) {
      pinging.answer();
      await pass(t, 5_000);
      pinged.socket.bytesRead += 17;
      pinged.session.emit('ping', pinging.payload());
    }
  };
  pinged.answer();
  pinging.roundTripMs = 250.5;
  await passMinutes(10);
  assert.equal(all[1]?.rttMs, 250.5);
  pinging.roundTripMs = 0.25;
  await passMinutes(1);
  assert.equal(all[1]?.rttMs, 0.25);
  assert.equal(pinged.pings(), 1, 'that of the start');
  // Another implementation's says nothing of it.
  pinged.session.emit('ping', Buffer.from('whatever'));
  assert.equal(all[1]?.rttMs, 0.25);
  for (const liveness of all) liveness.stop();
});

test('a PING that comes late by less than half a second is waited for', (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'setImmediate'] });
  const peer = fakePeer();
  const liveness = peer.watch(watchSilence);
  peer.answer();
  for (let turn = 0; turn < 10; turn += 1) {
    // Just before a look, and then just after the one that would have to see it.
    t.mock.timers.tick(turn % 2 === 0 ? 5_499 : 5_000);
    peer.socket.bytesRead += 17;
  }
  assert.equal(peer.pings(), 1, 'that of the start');
  liveness.stop();
});

test('tunnels that are pinged together are judged each by its own answer', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  const peers = [fakePeer(), fakePeer(), fakePeer()];
  const all = peers.map((peer) => peer.watch(watchLiveness));
  const [answering, chatting] = peers;
  answering?.answer();
  await pass(t, CALM.pingTimeoutMs - 1);
  if (chatting !== undefined) chatting.socket.bytesRead += 1;
  await pass(t, 1);
  assert.deepEqual(
    peers.map(({ isDead }) => isDead),
    [false, false, true],
  );
  // Its time has begun anew with the byte; the first one was pinged again and answered.
  answering?.answer();
  await pass(t, CALM.pingTimeoutMs - 1);
  answering?.answer();
  assert.equal(chatting?.isDead, false);
  await pass(t, 1);
  assert.deepEqual(
    peers.map(({ isDead }) => isDead),
    [false, true, true],
  );
  for (const liveness of all) liveness.stop();
});

test('the timer of all that are looked at together ends with the last of them, once', (t) => {
  const clear = t.mock.method(globalThis, 'clearInterval');
  const set = t.mock.method(globalThis, 'setInterval');
  const watch = () => fakePeer({ pingIntervalMs: 987, pingTimeoutMs: 4_500 }).watch(watchLiveness);
  const [one, other] = [watch(), watch()];
  assert.equal(set.mock.callCount(), 1);
  one.stop();
  assert.equal(clear.mock.callCount(), 0);
  other.stop();
  const next = watch();
  // Once more: it is none of the next one's.
  other.stop();
  assert.deepEqual([set.mock.callCount(), clear.mock.callCount()], [2, 1]);
  next.stop();
  assert.equal(clear.mock.callCount(), 2);
});

test('the time of an answered PING is over, also where the next one goes out before its end', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  const peer = fakePeer({ pingIntervalMs: 1_000, pingTimeoutMs: 4_500 });
  const liveness = peer.watch(watchLiveness);
  await pass(t, 10);
  peer.answer();
  await pass(t, 990);
  assert.equal(peer.pings(), 2);
  await pass(t, 4_400);
  assert.equal(peer.isDead, false);
  await pass(t, 100);
  assert.equal(peer.isDead, true);
  liveness.stop();
});
