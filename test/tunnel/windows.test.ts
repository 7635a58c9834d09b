import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Http2Session, Http2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { type Duplex, getDefaultHighWaterMark } from 'node:stream';
import { test } from 'node:test';
import type { IncomingStream } from '../../src/tunnel/agent-session.ts';
import type { Liveness } from '../../src/tunnel/liveness.ts';
import { MemoryBudget } from '../../src/tunnel/memory-budget.ts';
import { WindowTuner } from '../../src/tunnel/windows.ts';
import { FaultyLink } from '../support/faulty-link.ts';
import { type TurnedPair, turnedPair } from '../support/turned-pair.ts';
import { eventually } from '../support/within.ts';

const DIAL = { way: 'tcp', transaction: '0' } as const;
const CHUNK = Buffer.alloc(65_536);
const MB = 1024 * 1024;
const defaultBytes = getDefaultHighWaterMark(false);

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

test('more than 64 streams have wider windows where the path asks for it, until they become more', () =>
  withLongPath(async (pair, accepted) => {
    const window = (): number => pair.server.stats.streamWindowBytes;
    const open = async (count: number): Promise<Duplex[]> => {
      const streams = await Promise.all(Array.from({ length: count }, () => pair.server.open('www.test', DIAL)));
      for (const stream of streams) stream.on('error', () => {});
      return streams;
    };
    const [first] = await open(70);
    await eventually('smaller windows', () => window() === MB / 8);
    first?.resume();
    for (const target of accepted) if (target !== accepted[0]) target.on('error', () => {});
    flood(accepted[0] as Duplex);
    await eventually('wider ones', () => window() === MB / 2);
    await open(1);
    await eventually('smaller ones again', () => window() === MB / 8);
  }));

test('a stalled stream takes little beyond its window: 110 of them that began with more than a quarter of the memory keep to it', async () => {
  const memoryBytes = 16 * MB;
  const accepted: Duplex[] = [];
  const onStream = (stream: IncomingStream): void => void accepted.push(stream.accept({ readMs: 0, writeMs: 0 }));
  const pair = await turnedPair(onStream, { memoryBytes });
  try {
    const streams = await Promise.all(Array.from({ length: 110 }, () => pair.server.open('www.test', DIAL)));
    for (const stream of streams) stream.on('error', () => {});
    await eventually('windows of 128 kB', () => pair.server.stats.streamWindowBytes === MB / 8);
    const ofAgent = (): number => pair.agent.stats.streamWindowBytes;
    await eventually('smaller ones of the agent, whose streams read more ahead', () => ofAgent() === MB / 16);
    // Read, and paused at once: from there on it takes what it takes by itself.
    for (const stream of streams) stream.once('data', () => stream.pause());
    for (const target of accepted) flood(target);
    let seenBytes = 0;
    await eventually('nothing comes any more', () => {
      const before = seenBytes;
      seenBytes = pair.serverRaw.bytesRead;
      return seenBytes === before && seenBytes > 100 * (MB / 16);
    });
    const { heldBytes } = pair.server.stats;
    assert.ok(heldBytes <= memoryBytes, `${heldBytes} bytes are held`);
    assert.equal(getDefaultHighWaterMark(false), defaultBytes, 'other streams of the process are as they were');
  } finally {
    pair.close();
  }
});

/** A tuner of so many streams, and the windows that it set. */
function tunerOf(count: number) {
  const windows: number[] = [];
  const session = {
    destroyed: false,
    settings({ initialWindowSize }: { initialWindowSize: number }, onSettled: () => void): void {
      windows.push(initialWindowSize);
      onSettled();
    },
  };
  const socket = { bytesRead: 0 };
  const streams = new Set(Array.from({ length: count }, () => ({ readableLength: 0 })));
  const tuner = new WindowTuner(session as unknown as Http2Session, socket as Socket, {
    streams: streams as unknown as Set<Http2Stream>,
    readAheadBytes: 0,
    budget: new MemoryBudget({ tunnelMemoryBytes: 64 * MB, memoryBytes: 512 * MB }),
    liveness: { rttMs: null } as Liveness,
  });
  return { tuner, windows, socket, streams };
}

test('once an eighth of the memory is held, those of a growing crowd go back to their share of a quarter', () => {
  const { tuner, windows, socket, streams } = tunerOf(200);
  const holds = (bytes: number): void => {
    for (const stream of streams) stream.readableLength = bytes / streams.size;
    socket.bytesRead += 1;
    tuner.look();
    tuner.streamAdded();
  };
  holds(7 * MB);
  assert.deepEqual(windows, [128 * 1024]);
  holds(9 * MB);
  assert.deepEqual(windows, [128 * 1024, 64 * 1024]);
  tuner.stop();
});

test('a crowd that grows after a larger one has left is a new one: it is not settled before a second', (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const { tuner, windows, streams } = tunerOf(200);
  tuner.streamAdded();
  now = 5_000;
  for (const stream of [...streams].slice(90)) streams.delete(stream);
  tuner.streamAdded();
  now += 999;
  tuner.budgetOnMove();
  assert.deepEqual(windows, [128 * 1024]);
  now += 1;
  tuner.budgetOnMove();
  assert.deepEqual(windows, [128 * 1024, 256 * 1024]);
  tuner.stop();
});
