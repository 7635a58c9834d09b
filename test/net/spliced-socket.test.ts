import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as net from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { isPooled } from '../../src/net/blocks.ts';
import { splice } from '../../src/net/splice.ts';
import { SPLICED_BYTES, SplicedSocket } from '../../src/net/spliced-socket.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { eventually } from '../support/within.ts';

test('what sockets read at the same time is not mixed, and stays as it was while they read on', async () => {
  await using stack = new AsyncDisposableStack();
  const pairs = await Promise.all(Array.from({ length: 8 }, connectedPair));
  for (const pair of pairs) stack.use(pair);
  for (const { connected } of pairs) connected.sharePool();
  const bytes = 300_000;
  const received = pairs.flatMap(({ accepted, connected }, index) => {
    const [one, other] = [2 * index + 1, 2 * index + 2];
    connected.end(Buffer.alloc(bytes, one));
    accepted.end(Buffer.alloc(bytes, other));
    return [
      { read: allOf(accepted), value: one },
      { read: allOf(connected), value: other },
    ];
  });
  for (const { read, value } of received) assert.ok((await read).equals(Buffer.alloc(bytes, value)));
});

test('a paused socket reads nothing ahead, and says `end` only after all that came before', async () => {
  await using pair = await connectedPair();
  const { accepted: from, connected: to } = pair;
  to.sharePool();
  from.write('first');
  await once(to, 'data');
  to.pause();
  const read = to.bytesRead;
  from.end(Buffer.alloc(200_000));
  await untilAllIsRead();
  assert.equal(to.bytesRead, read);
  assert.equal(to.readableLength, 0);
  assert.equal((await allOf(to)).length, 200_000);
});

test('reads are handed over while the socket flows, and stop where that pauses the socket', async () => {
  await using pair = await connectedPair();
  const { accepted: from, connected: to } = pair;
  const got: string[] = [];
  to.handTo((chunk) => {
    got.push(`handed over: ${chunk}`);
    if (got.length === 3) to.pause();
  });
  from.write('before');
  await once(to, 'readable');
  to.on('data', (chunk) => got.push(`data: ${chunk}`));
  to.resume();
  await eventually('what waited came', () => got.length === 1);
  for (const [index, text] of ['one', 'two'].entries()) {
    from.write(text);
    await eventually(`${text} came`, () => got.length === 2 + index);
  }
  assert.deepEqual(got, ['data: before', 'handed over: one', 'handed over: two']);
  const read = to.bytesRead;
  from.end(Buffer.alloc(200_000));
  await untilAllIsRead();
  assert.equal(to.bytesRead, read);
  let bytes = 0;
  to.handTo((chunk) => {
    bytes += chunk.length;
  });
  to.resume();
  await once(to, 'end');
  assert.equal(bytes, 200_000);
});

test('a splice has a socket share its reads from the first large one on', async () => {
  await using pair = await connectedPair();
  const pooled: boolean[] = [];
  const to = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      pooled.push(isPooled(chunk));
      done();
    },
  });
  pair.accepted.write('small');
  const spliced = splice(pair.connected, to);
  await eventually('the small one passed', () => pooled.length === 1);
  pair.accepted.end(Buffer.alloc(2_000_000));
  await once(to, 'finish');
  assert.deepEqual([pooled[0], pooled[1], pooled.includes(true)], [false, false, true]);
  to.push(null);
  await spliced;
});

/** Whatever can be read is read by the time that something that came later was. */
async function untilAllIsRead(): Promise<void> {
  await using later = await connectedPair();
  later.accepted.write('later');
  await once(later.connected, 'data');
}

async function allOf(socket: net.Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => parts.push(chunk));
  socket.resume();
  await once(socket, 'end');
  return Buffer.concat(parts);
}

interface Pair {
  readonly accepted: net.Socket;
  readonly connected: SplicedSocket;
  [Symbol.asyncDispose](): Promise<void>;
}

async function connectedPair(): Promise<Pair> {
  const server = net.createServer({ allowHalfOpen: true, highWaterMark: SPLICED_BYTES });
  const close = closerOf(server);
  const port = await listenOn(server);
  const connected = new SplicedSocket({ allowHalfOpen: true });
  connected.connect(port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  return {
    accepted,
    connected,
    async [Symbol.asyncDispose]() {
      connected.destroy();
      await close();
    },
  };
}
