import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyOf, giveBack, isPooled } from '../../src/net/blocks.ts';

const SOURCE = Buffer.alloc(64 * 1024, 'abcdefg');

test('a copy has the bytes, whatever its size, and none of what was there before', () => {
  for (const bytes of [1, 8_191, 8_192, 40_000, 65_536]) {
    const copy = copyOf(SOURCE, bytes);
    assert.equal(copy.length, bytes);
    assert.ok(copy.equals(SOURCE.subarray(0, bytes)));
    assert.equal(isPooled(copy), bytes >= 8_192, `${bytes} bytes`);
    giveBack(copy);
  }
});

test('a block that was given back is used again, by one only', () => {
  const first = copyOf(SOURCE, 50_000);
  const { buffer } = first;
  giveBack(first);
  giveBack(first);
  const second = copyOf(SOURCE, 60_000);
  const third = copyOf(SOURCE, 60_000);
  assert.equal(second.buffer, buffer);
  assert.notEqual(third.buffer, buffer);
});

test('a buffer of somebody else is never taken, of the very size of a block neither', () => {
  const foreign = Buffer.allocUnsafeSlow(64 * 1024);
  giveBack(foreign);
  assert.equal(isPooled(foreign), false);
  const taken = Array.from({ length: 200 }, () => copyOf(SOURCE, 60_000).buffer);
  assert.ok(!taken.includes(foreign.buffer));
});

test('blocks that were needed once only do not stay for ever', () => {
  const burst = Array.from({ length: 900 }, () => copyOf(SOURCE, 60_000));
  const blocks = new Set(burst.map(({ buffer }) => buffer));
  for (const chunk of burst) giveBack(chunk);
  for (let round = 0; round < 3 * 4_096; round += 1) giveBack(copyOf(SOURCE, 60_000));
  const left = Array.from({ length: 900 }, () => copyOf(SOURCE, 60_000)).filter(({ buffer }) => blocks.has(buffer));
  assert.ok(left.length < 10, `${left.length} are left`);
});
