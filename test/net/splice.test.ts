import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import * as http2 from 'node:http2';
import * as net from 'node:net';
import { Duplex, PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { garbageCollector } from '../../src/cli/bulk-garbage.ts';
import { copyOf } from '../../src/net/blocks.ts';
import { type SpliceResult, splice } from '../../src/net/splice.ts';
import { listenOn } from '../support/listen-on.ts';
import { connectPeer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { testStreamEndings } from '../support/stream-ends.ts';

/** Unlike `once`, it does not mind an `error` on the way. */
function closing(stream: PassThrough): Promise<unknown> {
  return new Promise((resolve) => stream.on('close', () => resolve(null)));
}

let target: RawTarget;
let relay: net.Server;
let relayPort: number;
/** What each splice of the relay said at its end, in the order of the connections. */
const results: Promise<SpliceResult>[] = [];

before(async () => {
  target = await startRawTarget();
  relay = net.createServer({ allowHalfOpen: true }, (visitor) => {
    visitor.on('error', () => {});
    const onward = net.connect({ port: target.port, host: '127.0.0.1', allowHalfOpen: true });
    onward.on('error', () => {});
    results.push(splice(visitor, onward));
  });
  relayPort = await listenOn(relay);
});
after(async () => {
  relay.close();
  await target.close();
});

testStreamEndings('through a splice', async () => {
  const visitor = await connectPeer(relayPort);
  return { visitor, target: await target.next() };
});

test('a splice that ended cleanly says so and counts the bytes of each direction', async () => {
  const visitor = await connectPeer(relayPort);
  const far = await target.next();
  const result = results.at(-1);
  await visitor.send('12345');
  visitor.fin();
  await far.ending;
  await far.send('123');
  far.fin();
  assert.deepEqual(await result, { end: 'done', error: null, bytesAToB: 5, bytesBToA: 3 });
});

test('a splice says which side was cut', async () => {
  for (const side of ['visitor', 'target'] as const) {
    const visitor = await connectPeer(relayPort);
    const far = await target.next();
    const result = results.at(-1);
    await far.send('x');
    await visitor.send('y');
    (side === 'visitor' ? visitor : far).reset();
    assert.equal((await result)?.end, side === 'visitor' ? 'a-reset' : 'b-reset');
  }
});

test('a reader that stalls holds up its own splice and holds no more than the buffers', async () => {
  const from = new PassThrough({ highWaterMark: 1024 });
  const to = new PassThrough({ highWaterMark: 1024 });
  const done = splice(from, to);
  let written = 0;
  while (from.write(Buffer.alloc(512))) written += 512;
  await new Promise(setImmediate);
  while (from.write(Buffer.alloc(512))) written += 512;
  assert.ok(written < 16_384, `${written} bytes were taken`);
  from.destroy(new Error('enough'));
  assert.equal((await done).end, 'a-reset');
});

test('an aborted splice cuts both sides', async () => {
  const a = new PassThrough();
  const b = new PassThrough();
  const abort = new AbortController();
  const done = splice(a, b, { signal: abort.signal });
  const cuts = Promise.all([closing(a), closing(b)]);
  abort.abort(new Error('stop'));
  assert.equal((await done).end, 'aborted');
  await cuts;
});

test('a side that was closed before the splice began is a cut', async () => {
  const a = new PassThrough();
  const b = new PassThrough();
  a.destroy();
  await once(a, 'close');
  const closed = closing(b);
  assert.equal((await splice(a, b)).end, 'a-reset');
  await closed;
});

test('a splice leaves no listener on the signal', async () => {
  const { signal } = new AbortController();
  const a = new PassThrough();
  const done = splice(a, new PassThrough(), { signal });
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  a.destroy(new Error('cut'));
  await done;
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('a block is used again once it was written, and never after a cut, for it may still be sent', async () => {
  for (const fate of ['written', 'cut'] as const) {
    const from = new PassThrough();
    const written: ArrayBufferLike[] = [];
    let inFlight = (): void => {};
    const to = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, callback) {
        written.push(chunk.buffer);
        if (fate === 'written') callback();
        else inFlight = callback;
      },
      // As an HTTP/2 stream does.
      destroy(_error, callback) {
        inFlight();
        callback(null);
      },
    });
    const result = splice(from, to);
    from.write(copyOf(Buffer.alloc(60_000), 60_000));
    while (written.length === 0) await new Promise(setImmediate);
    if (fate === 'cut') to.destroy();
    else from.destroy();
    await result;
    await new Promise(setImmediate);
    const next = Array.from({ length: 200 }, () => copyOf(Buffer.alloc(60_000), 60_000).buffer);
    assert.equal(next.includes(written[0] as ArrayBuffer), fate === 'written', fate);
  }
});

test('a side that is kept for longer than its splice keeps nothing of the other one', async () => {
  const collect = garbageCollector();
  for (const end of ['done', 'a-reset'] as const) {
    const [a, other] = await spliced(end);
    await new Promise(setImmediate);
    collect({ type: 'major' });
    assert.equal(other.deref(), undefined, end);
    assert.equal(a.destroyed, true);
  }
});

async function spliced(end: 'done' | 'a-reset'): Promise<[a: PassThrough, other: WeakRef<PassThrough>]> {
  const [a, b] = [new PassThrough(), new PassThrough()];
  const over = splice(a, b);
  if (end === 'done') a.end();
  else a.destroy(new Error('cut'));
  assert.equal((await over).end, end);
  return [a, new WeakRef(b)];
}

test('a last end that HTTP/2 sends together with the last bytes is an end, not a cut', async () => {
  const server = http2.createServer();
  const streams = once(server, 'stream');
  const session = http2.connect(`http://127.0.0.1:${await listenOn(server)}`);
  try {
    const peer = session.request({ ':method': 'CONNECT', ':authority': 'x.test' });
    peer.end();
    const [stream] = (await streams) as [http2.ServerHttp2Stream];
    stream.respond({ ':status': 200 });
    const from = new Duplex({ read() {}, write: (_chunk, _encoding, taken) => taken() });
    const done = splice(from, stream);
    await once(stream, 'end');
    // More than the window: the last of them waits, with the end behind it, until the peer reads.
    for (let chunk = 0; chunk < 4; chunk += 1) from.push(Buffer.alloc(30_000));
    from.push(null);
    let received = 0;
    peer.on('data', (bytes: Buffer) => {
      received += bytes.length;
    });
    await once(peer, 'close');
    assert.equal(received, 120_000);
    assert.deepEqual(await done, { end: 'done', error: null, bytesAToB: 120_000, bytesBToA: 0 });
  } finally {
    session.close();
    server.close();
  }
});

test('a stream that was reset after both sides had ended, its last bytes not acknowledged, is a cut', async () => {
  for (const [rstCode, end] of [
    [http2.constants.NGHTTP2_CANCEL, 'b-reset'],
    [http2.constants.NGHTTP2_NO_ERROR, 'done'],
  ] as const) {
    const from = new PassThrough();
    // Never says `finish`.
    const stream = Object.assign(new Duplex({ read() {}, write: (_chunk, _encoding, taken) => taken(), final() {} }), {
      rstCode: 0,
    });
    const done = splice(from, stream);
    from.resume();
    const ended = once(stream, 'end');
    stream.push(null);
    await ended;
    from.end('all');
    await new Promise(setImmediate);
    stream.rstCode = rstCode;
    stream.destroy();
    assert.equal((await done).end, end);
  }
});
