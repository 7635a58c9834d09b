import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { type Peeked, type PeekOptions, peekClientHello } from '../../src/net/peek.ts';
import { hello, helloMessage, records } from '../support/client-hello.ts';
import { listenOn } from '../support/listen-on.ts';
import { eventually, within } from '../support/within.ts';

const NO_DEADLINE = { deadlineMs: 0 };

/** A connected pair: the client, and what a peek made of the accepted side. */
async function peekOne(t: TestContext, options: PeekOptions = NO_DEADLINE, onPeeked = (_: Peeked, _raw: Socket) => {}) {
  const server = net.createServer({ allowHalfOpen: true });
  const port = await listenOn(server);
  const client = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  client.on('error', () => {});
  const [raw] = (await within('an accept', once(server, 'connection'))) as [Socket];
  raw.on('error', () => {});
  t.after(() => {
    client.destroy();
    raw.destroy();
    server.close();
  });
  const results: Peeked[] = [];
  const before = countListeners(raw);
  const peeked = new Promise<Peeked>((resolve) => {
    peekClientHello(raw, options, (result) => {
      results.push(result);
      assert.deepEqual(countListeners(raw), before, 'the peek leaves no listener behind');
      onPeeked(result, raw);
      resolve(result);
    });
  });
  return { client, raw, results, peeked: within('the peek', peeked) };
}

function countListeners(raw: Socket): number[] {
  return ['data', 'end', 'close', 'error', 'readable'].map((event) => raw.listenerCount(event));
}

/** Everything that can still be read. */
function readAll(raw: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  raw.on('data', (chunk: Buffer) => chunks.push(chunk));
  raw.resume();
  return within('the end', once(raw, 'end')).then(() => Buffer.concat(chunks));
}

describe('a peek', () => {
  const bytes = hello({ serverName: 'a.test', alpn: ['h2'] });

  test('reads the hello and consumes nothing of it, nor of what came with it', async (t) => {
    const { client, raw, peeked } = await peekOne(t);
    const sent = Buffer.concat([bytes, Buffer.from('early data')]);
    client.end(sent);
    assert.deepEqual(await peeked, { kind: 'hello', serverName: 'a.test', alpn: ['h2'] });
    assert.deepEqual(await readAll(raw), sent);
  });

  test('consumes nothing of a hello that comes byte by byte in records of one byte', async (t) => {
    const { client, raw, peeked } = await peekOne(t);
    const sent = records(helloMessage({ serverName: 'a.test' }), 1);
    for (const byte of sent) await new Promise((resolve) => client.write(Buffer.of(byte), resolve));
    client.end();
    assert.equal((await peeked).kind, 'hello');
    assert.deepEqual(await readAll(raw), sent);
  });

  test('consumes nothing of a hello of 60 kB', async (t) => {
    const { client, raw, peeked } = await peekOne(t);
    const sent = hello({ serverName: 'a.test', bodyBytes: 60_000 });
    client.end(sent);
    assert.equal((await peeked).kind, 'hello');
    assert.deepEqual(await readAll(raw), sent);
  });

  test('hands over in the turn of the read, so that a FIN right behind the hello reaches the next owner', async (t) => {
    let next: Promise<Buffer> | undefined;
    const { client, peeked } = await peekOne(t, NO_DEADLINE, (_, raw) => {
      assert.ok(raw.isPaused());
      assert.equal(raw.readableLength, bytes.length);
      next = readAll(raw);
    });
    client.end(bytes);
    await peeked;
    assert.deepEqual(await next, bytes);
  });

  test('refuses garbage at its first byte', async (t) => {
    const { client, peeked } = await peekOne(t);
    client.write('G');
    const result = await peeked;
    assert.deepEqual(result, { kind: 'refused', alert: 10, problem: 'not a TLS handshake record' });
  });

  test('refuses a hello that is cut', async (t) => {
    const { client, peeked } = await peekOne(t);
    client.end(bytes.subarray(0, 40));
    const result = await peeked;
    assert.ok(result.kind === 'refused' && result.alert === 50 && result.problem.includes('after 40 bytes'));
  });

  test('refuses half a hello at its deadline, and only then', async (t) => {
    const started = performance.now();
    const { client, peeked } = await peekOne(t, { deadlineMs: 150 });
    client.write(bytes.subarray(0, 40));
    const result = await peeked;
    assert.ok(result.kind === 'refused' && result.alert === 90, JSON.stringify(result));
    assert.ok(performance.now() - started >= 149);
  });

  test('lets bytes that trickle in buy no time', async (t) => {
    const { client, peeked, results } = await peekOne(t, { deadlineMs: 150 });
    for (let at = 0; results.length === 0 && at < bytes.length - 1; at += 1) {
      client.write(bytes.subarray(at, at + 1));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const result = await peeked;
    assert.ok(result.kind === 'refused' && result.alert === 90, JSON.stringify(result));
  });

  test('holds no more than its cap', async (t) => {
    const { client, peeked } = await peekOne(t, { deadlineMs: 0, maxBytes: 1_000 });
    client.write(records(helloMessage({ bodyBytes: 2_000 })).subarray(0, 1_001));
    const result = await peeked;
    assert.ok(result.kind === 'refused' && result.alert === 50, JSON.stringify(result));
  });

  test('is over when the peer goes, whether it said something or not', async (t) => {
    const silent = await peekOne(t);
    silent.client.end();
    assert.deepEqual(await silent.peeked, { kind: 'closed', bytes: 0 });
    const reset = await peekOne(t);
    reset.client.write(bytes.subarray(0, 10));
    await eventually('the bytes', () => reset.raw.bytesRead === 10);
    reset.client.resetAndDestroy();
    assert.deepEqual(await reset.peeked, { kind: 'closed', bytes: 10 });
  });

  test('ends once, whatever comes afterwards', async (t) => {
    const { client, raw, peeked, results } = await peekOne(t, { deadlineMs: 50 });
    await peeked;
    raw.resume();
    client.end(bytes);
    await within('the end', once(raw, 'end'));
    assert.equal(results.length, 1);
  });
});

test('peeks share a budget, take from it what they hold, and give it back', async (t) => {
  const budget = { remaining: 10_000 };
  const part = hello({ serverName: 'a.test', bodyBytes: 12_000 }).subarray(0, 6_000);
  const first = await peekOne(t, { deadlineMs: 0, budget });
  first.client.write(part);
  await eventually('the first part', () => budget.remaining === 4_000);
  const second = await peekOne(t, { deadlineMs: 0, budget });
  second.client.write(part);
  const refused = await second.peeked;
  assert.ok(refused.kind === 'refused' && refused.alert === 80, JSON.stringify(refused));
  assert.equal(budget.remaining, 4_000);
  assert.equal(first.results.length, 0);
  first.client.resetAndDestroy();
  await first.peeked;
  assert.equal(budget.remaining, 10_000);
});

test('a hello of the size that browsers send is read in pieces also where others hold the whole budget', async (t) => {
  const budget = { remaining: 0 };
  const bytes = hello({ serverName: 'a.test', bodyBytes: 1_800 });
  const { client, peeked } = await peekOne(t, { deadlineMs: 0, budget });
  client.write(bytes.subarray(0, 1_448));
  await eventually('the first part', () => budget.remaining === -1_448);
  client.write(bytes.subarray(1_448));
  assert.equal((await peeked).kind, 'hello');
  assert.equal(budget.remaining, 0);
});
