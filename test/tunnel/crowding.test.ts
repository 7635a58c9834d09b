import assert from 'node:assert/strict';
import type { Http2Stream } from 'node:http2';
import { describe, test } from 'node:test';
import { Crowding } from '../../src/tunnel/crowding.ts';
import { MemoryBudget } from '../../src/tunnel/memory-budget.ts';

const MB = 1024 * 1024;
const budget = new MemoryBudget({ tunnelMemoryBytes: 64 * MB, memoryBytes: 512 * MB });

/** All that is looked at. */
interface Load {
  readableLength: number;
  writableNeedDrain: boolean;
}

const idle: Load = { readableLength: 0, writableNeedDrain: false };

function crowdingOf(loads: readonly Load[]): Crowding {
  return new Crowding(new Set(loads.map((load) => load as Http2Stream)), budget);
}

function streams(count: number, load: Partial<Load> = {}): Load[] {
  return Array.from({ length: count }, () => ({ ...idle, ...load }));
}

describe('a tunnel is crowded', () => {
  test('once an eighth of its memory is held for those who do not read', () => {
    assert.equal(crowdingOf(streams(64, { readableLength: MB / 8 })).isCrowded, true);
    assert.equal(crowdingOf(streams(64, { readableLength: MB / 8 - 1 })).isCrowded, false);
  });

  test('while 32 of its streams wait for credit', () => {
    assert.equal(crowdingOf([...streams(100), ...streams(32, { writableNeedDrain: true })]).isCrowded, true);
    assert.equal(crowdingOf([...streams(100), ...streams(31, { writableNeedDrain: true })]).isCrowded, false);
  });

  test('not by few streams: each of them may have much', () => {
    assert.equal(crowdingOf(streams(31, { readableLength: 2 * MB, writableNeedDrain: true })).isCrowded, false);
  });

  test('not by streams that rest', () => {
    assert.equal(crowdingOf(streams(900)).isCrowded, false);
  });
});

test('a look at all streams is good for a quarter of a second', (t) => {
  let now = 1_000;
  let looks = 0;
  t.mock.method(performance, 'now', () => now);
  const loads = streams(40, { writableNeedDrain: true });
  const watched = {
    size: loads.length,
    [Symbol.iterator]() {
      looks += 1;
      return loads.map((load) => load as Http2Stream)[Symbol.iterator]();
    },
  };
  const crowding = new Crowding(watched, budget);
  assert.equal(crowding.isCrowded, true);
  for (const load of loads) load.writableNeedDrain = false;
  now += 249;
  assert.equal(crowding.isCrowded, true);
  assert.equal(looks, 1);
  now += 1;
  assert.equal(crowding.isCrowded, false);
  assert.equal(looks, 2);
});
