import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { FaultyLink } from '../support/faulty-link.ts';
import { type TurnedPair, turnedPair } from '../support/turned-pair.ts';
import { eventually } from '../support/within.ts';

const DIAL = { way: 'tcp', transaction: '0' } as const;
const CHUNK = Buffer.alloc(65_536);
const MB = 1024 * 1024;

/** Writes for ever, as fast as it is taken. */
function flood(stream: Duplex): void {
  const fill = (): void => {
    while (!stream.destroyed && stream.write(CHUNK));
  };
  stream.on('error', () => {});
  stream.on('drain', fill);
  fill();
}

async function withLongPath(body: (pair: TurnedPair, accepted: Duplex[]) => Promise<void>): Promise<void> {
  const links: FaultyLink[] = [];
  const through = async (port: number): Promise<number> => {
    const link = await FaultyLink.to(port, { delayMs: 20 });
    links.push(link);
    return link.port;
  };
  const accepted: Duplex[] = [];
  const pair = await turnedPair((stream) => void accepted.push(stream.accept({ readMs: 0, writeMs: 0 })), { through });
  try {
    await body(pair, accepted);
  } finally {
    pair.close();
    for (const link of links) await link.close();
  }
}

test('a transfer over a long path widens the windows of the side that receives, and only those', () =>
  withLongPath(async (pair, accepted) => {
    const stream = await pair.server.open('www.test', DIAL);
    stream.on('error', () => {});
    stream.resume();
    const [target] = accepted;
    assert.ok(target);
    flood(target);
    await eventually('a wider window', () => pair.server.stats.streamWindowBytes >= MB);
    assert.equal(pair.agent.stats.streamWindowBytes, MB / 4);
  }));

test('an upload widens the windows of the agent', () =>
  withLongPath(async (pair, accepted) => {
    const stream = await pair.server.open('www.test', DIAL);
    const [target] = accepted;
    assert.ok(target);
    target.on('error', () => {});
    target.resume();
    flood(stream);
    await eventually('a wider window', () => pair.agent.stats.streamWindowBytes >= MB);
  }));

test('many streams share the memory of the tunnel: stalled readers hold no more than that', async () => {
  const memoryBytes = 4 * MB;
  const pair = await turnedPair((stream) => flood(stream.accept({ readMs: 0, writeMs: 0 })), { memoryBytes });
  try {
    const streams = await Promise.all(Array.from({ length: 32 }, () => pair.server.open('www.test', DIAL)));
    for (const stream of streams) stream.on('error', () => {});
    await eventually('a smaller window', () => pair.server.stats.streamWindowBytes === memoryBytes / 64);
    const filled = (): boolean => pair.server.stats.heldBytes > memoryBytes / 4;
    for (const stream of streams) stream.once('readable', () => {});
    await eventually('the stalled readers hold their windows', filled);
    // A stream that is read all the while is not held up by the others.
    const healthy = await pair.server.open('www.test', DIAL);
    healthy.on('error', () => {});
    let bytes = 0;
    while (bytes < 20 * MB) bytes += ((await once(healthy, 'data')) as [Buffer])[0].length;
    assert.ok(pair.server.stats.heldBytes <= memoryBytes, `${pair.server.stats.heldBytes} bytes are held`);
  } finally {
    pair.close();
  }
});

test('more than 64 streams share a quarter of the memory, for the first of them may hold what they were granted before', async () => {
  const pair = await turnedPair((stream) => void stream.accept({ readMs: 0, writeMs: 0 }), { memoryBytes: 64 * MB });
  const open = async (count: number): Promise<void> => {
    const streams = await Promise.all(Array.from({ length: count }, () => pair.server.open('www.test', DIAL)));
    for (const stream of streams) stream.on('error', () => {});
  };
  try {
    await open(64);
    assert.equal(
      pair.server.stats.streamWindowBytes,
      MB / 4,
      'half of the memory is enough for 64 windows of that size',
    );
    await open(1);
    await eventually('a smaller window', () => pair.server.stats.streamWindowBytes === MB / 8);
  } finally {
    pair.close();
  }
});
