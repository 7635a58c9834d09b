import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { MemoryBudget } from '../../src/tunnel/memory-budget.ts';
import { turnedPair } from '../support/turned-pair.ts';
import { eventually } from '../support/within.ts';

const KB = 1024;
const MB = 1024 * KB;
const DIAL = { way: 'tcp', transaction: '0' } as const;
const CHUNK = Buffer.alloc(65_536);

test('the budget shrinks windows in two steps as it fills up, and widens them when it empties', () => {
  const limits = { tunnelMemoryBytes: 8 * MB, memoryBytes: 100 };
  const budget = new MemoryBudget(limits);
  let moves = 0;
  const holder = {
    budgetOnMove: () => {
      moves += 1;
    },
  };
  const other = { budgetOnMove: () => {} };
  budget.add(holder);
  budget.add(other);
  const steps: readonly (readonly [held: number, windowBytes: number])[] = [
    [49, Number.POSITIVE_INFINITY],
    [50, 256 * KB],
    [40, 256 * KB],
    [75, 16 * KB],
    [63, 16 * KB],
    [62, 256 * KB],
    [37, Number.POSITIVE_INFINITY],
    [80, 16 * KB],
    [0, Number.POSITIVE_INFINITY],
  ];
  for (const [held, windowBytes] of steps) {
    budget.note(holder, held);
    assert.equal(budget.largestWindowBytes, windowBytes, `${held} of 100`);
  }
  assert.equal(moves, 6);
  budget.note(holder, 30);
  budget.note(other, 30);
  assert.deepEqual(budget.stats, { heldBytes: 60, budgetBytes: 100 });
  budget.remove(other);
  budget.note(other, 1_000);
  assert.deepEqual(budget.stats, { heldBytes: 30, budgetBytes: 100 });
  limits.memoryBytes = 40;
  budget.note(holder, 31);
  assert.equal(budget.largestWindowBytes, 16 * KB, 'the limits are looked at again');
});

/** Writes for ever, as fast as it is taken. */
function flood(stream: Duplex): void {
  const fill = (): void => {
    while (!stream.destroyed && stream.write(CHUNK));
  };
  stream.on('error', () => {});
  stream.on('drain', fill);
  fill();
}

test('stalled readers of all tunnels share the budget: those that come when it is full hold next to nothing', async () => {
  const budget = new MemoryBudget({ tunnelMemoryBytes: 64 * MB, memoryBytes: 4 * MB });
  const onStream = (stream: { accept(timeouts: { readMs: number; writeMs: number }): Duplex }) =>
    flood(stream.accept({ readMs: 0, writeMs: 0 }));
  const pairs = [await turnedPair(onStream, { budget }), await turnedPair(onStream, { budget })];
  const [first, second] = pairs;
  assert.ok(first && second);
  const stall = async (server: typeof first.server, count: number): Promise<Duplex[]> => {
    const streams = await Promise.all(Array.from({ length: count }, () => server.open('www.test', DIAL)));
    for (const stream of streams) {
      stream.on('error', () => {});
      stream.once('readable', () => {});
    }
    return streams;
  };
  try {
    const early = await stall(first.server, 14);
    await eventually('the budget is nearly held', () => budget.largestWindowBytes === 16 * KB);
    await eventually('the other tunnel knows', () => second.server.stats.streamWindowBytes === 16 * KB);
    const late = await stall(second.server, 64);
    await Promise.all(late.map((stream) => once(stream, 'readable')));
    const held = first.server.stats.heldBytes + second.server.stats.heldBytes;
    assert.ok(held <= 5 * MB, `${held} bytes are held`);
    assert.ok(Math.abs(budget.stats.heldBytes - held) < MB, `${budget.stats.heldBytes} of ${held} are known`);
    for (const stream of early) stream.destroy();
    await eventually('the windows are wide again', () => second.server.stats.streamWindowBytes >= 256 * KB);
  } finally {
    for (const pair of pairs) pair.close();
  }
});
