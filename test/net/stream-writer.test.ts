import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import { test } from 'node:test';
import { splice } from '../../src/net/splice.ts';
import { StreamWriter } from '../../src/net/stream-writer.ts';

test('a source of large chunks is paused once the stream has enough, until its `drain`', async () => {
  const { to, send } = stalled();
  const from = new PassThrough();
  const writer = new StreamWriter(from, to);
  assert.equal(chunksUntilPaused(from, writer), 4);
  const drained = once(to, 'drain');
  send();
  await drained;
  writer.queueOnMove();
  from.resume();
  assert.equal(chunksUntilPaused(from, writer), 4, 'it may have as much again');
  writer.close();
});

test('a source of small chunks is paused as soon as the stream says so', () => {
  const from = new PassThrough();
  const writer = new StreamWriter(from, stalled().to);
  const small = Buffer.alloc(4 * 1024);
  for (let bytes = small.length; bytes < 64 * 1024; bytes += small.length) writer.write(small);
  assert.equal(from.isPaused(), false);
  writer.write(small);
  assert.equal(from.isPaused(), true);
  writer.close();
});

test('while many streams have a queue, each source is paused until what it brought was sent', () => {
  const crowd = Array.from({ length: 16 }, () => {
    const from = new PassThrough();
    const stream = stalled();
    const writer = new StreamWriter(from, stream.to);
    return { ...stream, writer, chunks: chunksUntilPaused(from, writer) };
  });
  assert.deepEqual(new Set(crowd.map(({ chunks }) => chunks)), new Set([4]));
  assert.equal(chunksOfNewcomer(), 1);
  for (const { to, writer } of crowd) {
    to.destroy();
    writer.queueOnMove();
  }
  assert.equal(chunksOfNewcomer(), 4, 'those that are gone do not count');
});

test('a newcomer of another tunnel is not held up by the queues of this one', async () => {
  const session = {};
  const crowd = [];
  while (crowd.length < 16) {
    const from = new PassThrough();
    const writer = new StreamWriter(from, Object.assign(stalled().to, { session }));
    chunksUntilPaused(from, writer);
    crowd.push(writer);
    await sendOne(session);
  }
  assert.equal(chunksOfNewcomer(session), 1);
  assert.equal(chunksOfNewcomer({}), 4);
  for (const writer of crowd) writer.close();
  assert.equal(chunksOfNewcomer(session), 4);
});

test('the streams of one tunnel are given 2 MB before something is sent: sources that bring more wait, those of others do not', async () => {
  const session = {};
  const crowd = Array.from({ length: 64 }, () => {
    const from = new PassThrough();
    const { to, send } = stalled();
    const writer = new StreamWriter(from, Object.assign(to, { session }));
    writer.write(large);
    return { from, to, send, writer };
  });
  const given = (): number => crowd.reduce((sum, { to }) => sum + to.writableLength, 0);
  assert.equal(given(), 2 * 1024 * 1024);
  const waiting = crowd.filter(({ from }) => from.isPaused());
  assert.equal(waiting.length, 32);
  assert.equal(chunksOfNewcomer({}), 4);
  const last = waiting.at(-1);
  assert.ok(last !== undefined);
  const pieces: Buffer[] = [];
  last.to.write = (chunk: Buffer) => pieces.push(chunk) > 0;
  last.writer.write(Buffer.from('small, behind it'));
  last.writer.end();
  assert.equal(Buffer.concat(pieces).toString(), `${large}small, behind it`, 'its end is due: it does not wait');
  assert.equal(last.to.writableEnded, true);
  waiting[0]?.writer.close();
  crowd[0]?.send();
  await new Promise(setImmediate);
  assert.equal(given(), (31 + 30) * large.length, 'nothing is written for whom all is over');
  for (const { from } of waiting.slice(1)) assert.equal(from.isPaused(), false);
  for (const { writer } of crowd) writer.close();
});

test('one that has sent much is not held up by any number of those that have not, until its like are many', async () => {
  const [fast, ...likes] = await Promise.all(Array.from({ length: 1 + 128 }, sentMuch));
  assert.ok(fast !== undefined);
  const fillQueues = (count: number): StreamWriter[] =>
    Array.from({ length: count }, () => {
      const source = new PassThrough();
      const stalledWriter = new StreamWriter(source, stalled().to);
      chunksUntilPaused(source, stalledWriter);
      return stalledWriter;
    });
  const stalledOnes = fillQueues(1_000);
  assert.equal(chunksOfNewcomer(), 1);
  assert.equal(await fast.refill(), 4, 'those that sent little hold 64 MB');
  await fast.empty();
  for (const like of likes) await like.refill();
  assert.equal(await fast.refill(), 1, 'those that sent much hold 32 MB');
  for (const { writer } of likes) writer.close();
  assert.equal(await fast.refill(), 4);
  for (const each of [fast.writer, ...stalledOnes]) each.close();
  assert.equal(chunksOfNewcomer(), 4);
});

test("what streams have sent, and what they had at the end of a splice, is nobody's queue any more", async () => {
  const abort = new AbortController();
  const crowd = Array.from({ length: 16 }, () => ({ ...stalled(), from: new PassThrough() }));
  const splices = crowd.map(({ from, to }) => splice(from, to, abort));
  const fill = async (): Promise<void> => {
    for (const { from } of crowd) for (let chunks = 0; chunks < 4; chunks += 1) from.write(large);
    await new Promise(setImmediate);
    assert.equal(chunksOfNewcomer(), 1, 'the queues are full');
  };
  await fill();
  const drained = crowd.map(({ to }) => once(to, 'drain'));
  for (const { send } of crowd) send();
  await Promise.all(drained);
  assert.equal(chunksOfNewcomer(), 4);
  await fill();
  abort.abort(new Error('enough'));
  await Promise.all(splices);
  assert.equal(chunksOfNewcomer(), 4);
});

const large = Buffer.alloc(64 * 1024);

/** A stream that sends nothing before `send`, and then all that it has. */
function stalled(): { to: Duplex; send: () => void } {
  let sent: (() => void) | null = null;
  const hold = (callback: () => void): void => {
    sent = callback;
  };
  const to = new Duplex({
    read() {},
    write: (_chunk, _encoding, callback) => hold(callback),
    writev: (_chunks, callback) => hold(callback),
  });
  const send = (): void => {
    while (sent !== null) {
      const callback: () => void = sent;
      sent = null;
      callback();
    }
  };
  return { to: to.on('error', () => {}), send };
}

/** Something of the tunnel is sent: what its streams have been given meanwhile is no reason to wait. */
async function sendOne(session: object): Promise<void> {
  const { to, send } = stalled();
  const writer = new StreamWriter(new PassThrough(), Object.assign(to, { session }));
  writer.write(large);
  send();
  await new Promise(setImmediate);
  writer.close();
}

/** One that has sent 8 MB, and whose queue is empty. */
async function sentMuch(): Promise<{
  writer: StreamWriter;
  empty: () => Promise<void>;
  refill: () => Promise<number>;
}> {
  const { to, send } = stalled();
  const from = new PassThrough();
  const writer = new StreamWriter(from, to);
  const empty = async (): Promise<void> => {
    if (to.writableLength === 0) return;
    const drained = once(to, 'drain');
    send();
    await drained;
    writer.queueOnMove();
    from.resume();
  };
  const refill = async (): Promise<number> => {
    await empty();
    return chunksUntilPaused(from, writer);
  };
  for (let bytes = 0; bytes < 8 * 1024 * 1024; ) bytes += (await refill()) * large.length;
  await empty();
  return { writer, empty, refill };
}

function chunksUntilPaused(from: PassThrough, writer: StreamWriter): number {
  let chunks = 0;
  for (; !from.isPaused(); chunks += 1) writer.write(large);
  return chunks;
}

/** How much a source that comes now may bring to a stream of that tunnel. */
function chunksOfNewcomer(session?: object): number {
  const from = new PassThrough();
  const writer = new StreamWriter(from, Object.assign(stalled().to, { session }));
  const chunks = chunksUntilPaused(from, writer);
  writer.close();
  return chunks;
}
