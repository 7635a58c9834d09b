import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { watchLiveness, watchSilence } from '../../src/tunnel/liveness.ts';
import { FaultyLink } from '../support/faulty-link.ts';
import { turnedPair } from '../support/turned-pair.ts';

const QUICK = { pingIntervalMs: 100, pingTimeoutMs: 150 };
const DIAL = { way: 'tcp', transaction: '0' } as const;
const TIMEOUTS = { readMs: 0, writeMs: 0 };

test('a black hole is noticed by both sides, and what was in flight is cut with agent-silent', async () => {
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
});

test('a tunnel that only answers PING lives on, and its round trip is known', async () => {
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
});

test('traffic counts as life while a PING is still on its way', async () => {
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
});

test('a side that is pinged sends no PING of its own: only after a silence, and once a minute for the round trip', (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'setImmediate'] });
  let pings = 0;
  let isDead = false;
  let answer = (): void => {};
  const ping = (onAnswer: (error: Error | null, durationMs: number) => void): boolean => {
    pings += 1;
    answer = () => onAnswer(null, 7);
    return true;
  };
  const socket = { bytesRead: 0 };
  const [session, peer] = [{ destroyed: false, closed: false, ping } as unknown as Http2Session, socket as Socket];
  const onSilent = (): void => {
    isDead = true;
  };
  const liveness = watchSilence(session, peer, { pingIntervalMs: 5_000, pingTimeoutMs: 3_500, onSilent });
  const pass = (seconds: number, isHeard: boolean): void => {
    for (let second = 1; second <= seconds; second += 1) {
      if (isHeard && second % 5 === 0) socket.bytesRead += 17;
      t.mock.timers.tick(1_000);
    }
  };
  assert.equal(pings, 1);
  answer();
  assert.equal(liveness.rttMs, 7);
  pass(55, true);
  assert.equal(pings, 1, 'what arrives is life');
  pass(5, true);
  assert.equal(pings, 2, 'once a minute');
  answer();
  pass(6, false);
  assert.equal(pings, 3, 'after a silence');
  assert.equal(isDead, false);
  pass(4, false);
  assert.equal(isDead, true, 'within 10 s of the last byte');
  liveness.stop();
});
