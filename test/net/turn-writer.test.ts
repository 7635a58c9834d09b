import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as net from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { splice } from '../../src/net/splice.ts';
import { TurnWriter } from '../../src/net/turn-writer.ts';
import { connectedPair } from '../support/connected-pair.ts';
import { eventually } from '../support/within.ts';

test('chunks of one turn arrive in order, and in one piece', async () => {
  await using pair = await connectedPair();
  const from = new PassThrough();
  const writer = new TurnWriter(from, pair.near);
  for (const part of ['a', 'b', 'c']) writer.write(Buffer.from(part));
  assert.equal(pair.near.bytesWritten, 0);
  const [chunk] = await once(pair.far, 'data');
  assert.equal(String(chunk), 'abc');
  assert.equal(from.isPaused(), false);
});

test('an end sends what waits before it, and the end of the turn sends nothing twice', async () => {
  await using pair = await connectedPair();
  const writer = new TurnWriter(new PassThrough(), pair.near);
  writer.write(Buffer.from('all'));
  writer.end();
  const parts: Buffer[] = [];
  for await (const part of pair.far) parts.push(part);
  assert.equal(String(Buffer.concat(parts)), 'all');
});

test('the last end of a socket closes it at once where all has left the process, and its peer still gets all and a clean end', async () => {
  for (const bytes of [3, 64 * 1024 * 1024]) {
    await using pair = await connectedPair();
    const writer = new TurnWriter(new PassThrough(), pair.far);
    writer.write(Buffer.alloc(bytes));
    pair.far.resume();
    pair.near.end();
    await once(pair.far, 'end');
    assert.equal(writer.endLast(), bytes === 3);
    assert.equal(pair.far.destroyed, bytes === 3);
    let received = 0;
    for await (const part of pair.near) received += part.length;
    assert.equal(received, bytes);
    writer.close();
  }
});

test('a stream is paused while the socket has enough, until its `drain`', async () => {
  await using pair = await connectedPair();
  pair.far.pause();
  const from = new PassThrough();
  const writer = new TurnWriter(from, pair.near);
  const chunk = Buffer.alloc(pair.near.writableHighWaterMark);
  writer.write(chunk);
  assert.equal(from.isPaused(), true, 'one chunk fills it');
  writer.turnOnEnd();
  // Until the kernel takes no more.
  while (pair.near.writableLength === 0) {
    while (!from.isPaused()) writer.write(chunk);
    writer.turnOnEnd();
  }
  assert.equal(from.isPaused(), true);
  const drained = once(pair.near, 'drain');
  pair.far.resume();
  await drained;
});

test('a turn may bring more for a socket that takes everything, until it does not', async () => {
  await using pair = await connectedPair();
  pair.far.resume();
  const { from, turn } = takingAll(pair.near);
  assert.equal(turn(), 64 * 1024);
  for (let taken = 64 * 1024; taken < 2 ** 23; ) taken += turn();
  assert.equal(turn(), 512 * 1024);
  const drain = refuseOnce(pair.near, turn);
  assert.equal(from.isPaused(), true, 'what was refused is more than a queue');
  await drain();
  from.resume();
  assert.equal(turn(), 64 * 1024);
});

test('while many sockets have a queue, one that was not seen to be read may have a short one, whatever the kernel took of it', async () => {
  const pairs = await Promise.all(Array.from({ length: 70 }, () => connectedPair()));
  const writers = pairs.map(({ near }) => new TurnWriter(new PassThrough(), near));
  assert.equal(pausesAfter(), 4);
  await using healthy = await connectedPair();
  const { turn } = takingAll(healthy.near);
  while (turn() < 512 * 1024);
  await using slow = await connectedPair();
  const read = takingAll(slow.near);
  for (let taken = 0; taken < 8 * 1024 * 1024; ) taken += read.turn();
  const drain = refuseOnce(slow.near, () => read.turn());
  await drain();
  read.from.resume();
  await using filling = await connectedPair();
  const filled = takingAll(filling.near);
  for (let taken = 0; taken < 2 * 1024 * 1024; ) taken += filled.turn();
  assert.ok(filled.turn() >= 128 * 1024);
  for (const [index, { near, far }] of pairs.entries()) {
    far.pause();
    for (near.cork(); near.writableLength < 64 * 1024; ) near.write(frame);
    writers[index]?.queueOnMove();
  }
  assert.equal(pausesAfter(), 1);
  assert.equal(turn(), 512 * 1024, 'one that takes everything is not held up');
  assert.equal(read.turn(), 64 * 1024, 'one that took more than kernels keep has a whole one');
  assert.ok(filled.turn() <= 48 * 1024, 'one that may have filled them has little');
  assert.equal(pausesAfter({}), 4, 'the queues of another tunnel do not count');
  for (const { near } of pairs) near.destroy();
  for (const writer of writers) writer.queueOnMove();
  assert.equal(pausesAfter(), 4, 'those that are gone do not count');
  for (const pair of pairs) await pair[Symbol.asyncDispose]();
});

test("what sockets have taken, and what those that are gone had, is nobody's queue any more", async () => {
  const pairs = await Promise.all(Array.from({ length: 70 }, () => connectedPair()));
  const abort = new AbortController();
  const sources = pairs.map(() => new PassThrough());
  const splices = pairs.map(({ near }, index) => splice(sources[index] as PassThrough, near, abort));
  const fill = async (): Promise<void> => {
    for (const { near } of pairs) near.cork();
    for (const source of sources) source.write(Buffer.alloc(64 * 1024));
    await eventually('the queues are full', () => pausesAfter() === 1);
  };
  for (const { near, far } of pairs) {
    near.on('error', () => {});
    far.on('error', () => {}).resume();
  }
  await fill();
  for (const { near } of pairs) near.uncork();
  await eventually('they are taken', () => pausesAfter() === 4);
  await fill();
  abort.abort(new Error('enough'));
  await Promise.all(splices);
  await eventually('they are gone', () => pausesAfter() === 4);
  for (const pair of pairs) await pair[Symbol.asyncDispose]();
});

test('a queue that leaves room is not counted: no `drain` would say that it is gone', async () => {
  await using stack = new AsyncDisposableStack();
  const pairs = await Promise.all(Array.from({ length: 300 }, () => connectedPair()));
  for (const pair of pairs) {
    const { near } = stack.use(pair);
    const writer = new TurnWriter(new PassThrough(), near);
    near.cork();
    writer.write(Buffer.alloc(near.writableHighWaterMark - 1));
    writer.turnOnEnd();
    assert.notEqual(near.writableLength, 0);
  }
  assert.equal(pausesAfter(), 4);
});

test('a stream that was paused for bytes which are gone by the end of the turn is resumed', async () => {
  await using pair = await connectedPair();
  const from = new PassThrough();
  const writer = new TurnWriter(from, pair.near);
  from.pause();
  writer.write(Buffer.from('x'));
  writer.turnOnEnd();
  assert.equal(from.isPaused(), false, 'no drain would have resumed it');
});

test('what a destroyed socket had not got is dropped', async () => {
  await using pair = await connectedPair();
  const writer = new TurnWriter(new PassThrough(), pair.near);
  pair.near.on('error', (error) => assert.fail(error));
  writer.write(Buffer.from('x'));
  pair.near.destroy();
  writer.turnOnEnd();
  await once(pair.near, 'close');
});

const frame = Buffer.alloc(16 * 1024);

/** A writer to a socket as if the kernel took whatever it is given; `turn` says how many bytes one turn brought. */
function takingAll(to: net.Socket): { from: PassThrough; turn: () => number } {
  const from = new PassThrough();
  const writer = new TurnWriter(from, to);
  to._write = (_chunk, _encoding, callback) => callback();
  to._writev = (_chunks, callback) => callback();
  to.on('drain', () => writer.queueOnMove());
  const turn = (): number => {
    let bytes = 0;
    for (; !from.isPaused(); bytes += frame.length) writer.write(frame);
    writer.turnOnEnd();
    return bytes;
  };
  return { from, turn };
}

/** Has the kernel, as it were, take nothing of what `turn` writes; gives what lets it take that, and all that follows. */
function refuseOnce(to: net.Socket, turn: () => number): () => Promise<unknown> {
  const writev = to._writev?.bind(to);
  assert.ok(writev);
  let refused: (() => void) | undefined;
  to._writev = (_chunks, callback) => {
    refused = callback;
  };
  turn();
  to._writev = writev;
  return () => {
    const drained = once(to, 'drain');
    refused?.();
    return drained;
  };
}

/** How many frames of a stream of that tunnel fill an idle socket's queue at this moment. */
function pausesAfter(session?: object): number {
  const from = Object.assign(new PassThrough(), { session });
  // Nothing is sent at the end of the turn.
  const writer = new TurnWriter(from, new net.Socket().destroy());
  let frames = 0;
  for (; !from.isPaused(); frames += 1) writer.write(frame);
  return frames;
}
