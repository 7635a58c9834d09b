import assert from 'node:assert/strict';
import { test } from 'node:test';
import { READ_AHEAD_BYTES } from '../../src/tunnel/read-ahead.ts';
import { windowShare } from '../../src/tunnel/window-share.ts';

const KB = 1024;
const MB = 1024 * KB;
const IDLE = { tunnelBytes: 64 * MB, heldBytes: 0, readAheadBytes: READ_AHEAD_BYTES, isSettled: false };

test('one stream may have the memory of the tunnel as its window, up to 64 MB', () => {
  assert.equal(windowShare({ ...IDLE, streams: 0 }), 64 * MB);
  assert.equal(windowShare({ ...IDLE, streams: 1 }), 64 * MB);
  assert.equal(windowShare({ ...IDLE, streams: 1, tunnelBytes: 1024 * MB }), 64 * MB);
});

test('eight streams share all of the memory, more of them half, and more than 64 a quarter', () => {
  assert.equal(windowShare({ ...IDLE, streams: 8 }), 8 * MB);
  assert.equal(windowShare({ ...IDLE, streams: 9 }), 2 * MB);
  assert.equal(windowShare({ ...IDLE, streams: 64 }), MB / 2);
  assert.equal(windowShare({ ...IDLE, streams: 65, tunnelBytes: 1024 * MB }), 2 * MB);
});

test('many streams have 128 kB each for as long as all of them can stall within the memory', () => {
  const mostStalled = (streams: number): number => {
    const window = windowShare({ ...IDLE, streams });
    return streams * ((3 / 4) * window + READ_AHEAD_BYTES);
  };
  for (const streams of [65, 128, 129, 256, 500, 585]) {
    assert.equal(windowShare({ ...IDLE, streams }), 128 * KB, `${streams} streams`);
    assert.ok(mostStalled(streams) <= IDLE.tunnelBytes, `${streams} streams`);
  }
  for (const streams of [586, 1_000, 10_000]) assert.equal(windowShare({ ...IDLE, streams }), 64 * KB);
});

test('many streams that have been as many for a while have up to 512 kB, as long as five eighths of the memory have room for all', () => {
  const settled = { ...IDLE, isSettled: true };
  assert.equal(windowShare({ ...settled, streams: 64 }), 512 * KB);
  for (const [streams, kilobytes] of [
    [65, 512],
    [102, 512],
    [103, 256],
    [196, 256],
    [197, 128],
    [585, 128],
    [586, 64],
  ] as const)
    assert.equal(windowShare({ ...settled, streams }), kilobytes * KB, `${streams} streams`);
  assert.equal(windowShare({ ...settled, streams: 100, heldBytes: 56 * MB }), 128 * KB, 'nearly all is held');
});

test('a crowd that still grows has 64 kB each once an eighth of the memory is held: those to come will most likely stall, too', () => {
  const heldBytes = 8 * MB;
  assert.equal(windowShare({ ...IDLE, streams: 300, heldBytes: heldBytes - 1 }), 128 * KB);
  assert.equal(windowShare({ ...IDLE, streams: 300, heldBytes }), 64 * KB);
  assert.equal(windowShare({ ...IDLE, streams: 100, heldBytes, isSettled: true }), 512 * KB);
  assert.equal(windowShare({ ...IDLE, streams: 196, heldBytes, isSettled: true }), 256 * KB);
});

test('streams that read more ahead reach that bound earlier', () => {
  assert.equal(windowShare({ ...IDLE, readAheadBytes: 64 * KB, streams: 409 }), 128 * KB);
  assert.equal(windowShare({ ...IDLE, readAheadBytes: 64 * KB, streams: 410 }), 64 * KB);
});

test('where seven eighths of the memory are held, many streams have no more than the quarter', () => {
  const heldBytes = 56 * MB;
  const settled = { ...IDLE, isSettled: true };
  assert.equal(windowShare({ ...settled, streams: 130, heldBytes: heldBytes - 1 }), 256 * KB);
  assert.equal(windowShare({ ...settled, streams: 130, heldBytes }), 64 * KB);
  assert.equal(windowShare({ ...settled, streams: 64, heldBytes }), MB / 2);
});
