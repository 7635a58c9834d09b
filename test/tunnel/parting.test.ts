import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { IncomingStream } from '../../src/tunnel/agent-session.ts';
import { FaultyLink } from '../support/faulty-link.ts';
import { turnedPair } from '../support/turned-pair.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { within } from '../support/within.ts';

const DIAL = { way: 'tcp', transaction: '0' } as const;
const TIMEOUTS = { readMs: 0, writeMs: 0 };

/** Accepts every stream and keeps it. */
function keeper(): { streams: Duplex[]; onStream: (stream: IncomingStream) => void } {
  const streams: Duplex[] = [];
  const onStream = (incoming: IncomingStream): void => {
    const stream = incoming.accept(TIMEOUTS);
    stream.on('error', () => {});
    streams.push(stream);
  };
  return { streams, onStream };
}

test('a replaced tunnel is told so, finishes its streams, and then ends on both sides as replaced', async () => {
  const { streams, onStream } = keeper();
  const pair = await turnedPair(onStream);
  try {
    const stream = await pair.server.open('www.test', DIAL);
    pair.server.drain('replaced', 60_000);
    assert.equal(pair.server.usable, false);
    await assert.rejects(pair.server.open('www.test', DIAL), { code: 'tunnel-draining' });
    streams[0]?.end('the rest');
    stream.end();
    streams[0]?.resume();
    assert.equal(await text(stream), 'the rest');
    assert.equal((await pair.server.closed).reason, 'replaced');
    assert.equal((await pair.agent.closed).reason, 'replaced');
  } finally {
    pair.close();
  }
});

test('a stream that is open at the end of a drain is cut, never ended cleanly', async () => {
  const { streams, onStream } = keeper();
  const pair = await turnedPair(onStream);
  try {
    const stream = await pair.server.open('www.test', DIAL);
    streams[0]?.write('half');
    await once(stream, 'readable');
    const cut = once(stream, 'error');
    stream.resume();
    await pair.agent.drain(50);
    await cut;
    assert.equal((await pair.server.closed).reason, 'peer-drained');
  } finally {
    pair.close();
  }
});

test('an agent that drains makes its carrier leave at once, so that idle streams can be ended', async () => {
  const { streams, onStream } = keeper();
  const pair = await turnedPair(onStream);
  try {
    const stream = await pair.server.open('www.test', DIAL);
    pair.server.leaving.addEventListener('abort', () => stream.resume().end());
    streams[0]?.on('end', () => streams[0]?.end()).resume();
    await pair.agent.drain(60_000);
    assert.equal((await pair.server.closed).reason, 'peer-drained');
  } finally {
    pair.close();
  }
});

for (const name of ['NGHTTP2_CANCEL', 'NGHTTP2_NO_ERROR', 'NGHTTP2_CONNECT_ERROR'] as const) {
  test(`a reset with ${name}, as another implementation may send it, is a cut`, async () => {
    const { streams, onStream } = keeper();
    const pair = await turnedPair(onStream);
    try {
      for (let round = 0; round < 50; round += 1) {
        const stream = await pair.server.open('www.test', DIAL);
        const agentStream = streams[round] as ServerHttp2Stream;
        agentStream.write('half');
        await once(stream, 'readable');
        const cut = once(stream, 'error');
        stream.resume();
        // `close()` of Node would send END_STREAM first, so the frame is sent through the handle's own submit.
        rstStream(agentStream, constants[name]);
        await cut;
      }
      assert.equal(pair.server.usable, true);
    } finally {
      pair.close();
    }
  });
}

/** RST_STREAM with any code and nothing before it, which the public API does not offer. */
function rstStream(stream: ServerHttp2Stream, code: number): void {
  const handle = Object.getOwnPropertySymbols(stream)
    .map((symbol) => (stream as unknown as Record<symbol, unknown>)[symbol])
    .find((value) => typeof (value as { rstStream?: unknown } | null)?.rstStream === 'function');
  (handle as { rstStream(code: number): void }).rstStream(code);
}

test('a storm of 20,000 resets leaves the tunnel and its other stream alive', async () => {
  const { streams, onStream } = keeper();
  const pair = await turnedPair(onStream, { concurrency: 1_000 });
  try {
    const healthy = await pair.server.open('www.test', DIAL);
    for (let round = 0; round < 200; round += 1) {
      const batch = await Promise.all(Array.from({ length: 100 }, () => pair.server.open('www.test', DIAL)));
      for (const stream of batch) stream.destroy(new Error('visitor left'));
    }
    streams[0]?.end('still here');
    assert.equal(await text(healthy), 'still here');
    assert.equal(pair.server.usable, true);
  } finally {
    pair.close();
  }
});

test(
  'a peer that freezes after it asked a tunnel to leave is noticed while a stream is still open',
  undisturbed(async () => {
    const { streams, onStream } = keeper();
    let link: FaultyLink | null = null;
    const through = async (port: number): Promise<number> => {
      link = await FaultyLink.to(port);
      return link.port;
    };
    const pair = await turnedPair(onStream, { through, liveness: { pingIntervalMs: 100, pingTimeoutMs: 150 } });
    try {
      const stream = await pair.server.open('www.test', DIAL);
      stream.on('error', () => {});
      const left = once(pair.agent.leaving, 'abort');
      pair.server.drain('drained', 60_000);
      await left;
      (link as FaultyLink | null)?.stall();
      await within('the end at the agent', pair.agent.closed, 20_000);
      await within('the end at the server', pair.server.closed, 20_000);
      assert.equal(streams[0]?.destroyed, true);
    } finally {
      pair.close();
      await (link as FaultyLink | null)?.close();
    }
  }),
);

test('a peer that freezes in the moment of parting does not keep an empty tunnel for ever', async () => {
  let link: FaultyLink | null = null;
  const through = async (port: number): Promise<number> => {
    link = await FaultyLink.to(port);
    return link.port;
  };
  const pair = await turnedPair(() => {}, { through });
  try {
    (link as FaultyLink | null)?.stall();
    void pair.agent.drain(60_000);
    assert.equal((await within('the end at the agent', pair.agent.closed, 20_000)).reason, 'drained');
  } finally {
    pair.close();
    await (link as FaultyLink | null)?.close();
  }
});

test(
  'a peer that leaves and lives on keeps its streams, however long they take',
  undisturbed(async () => {
    const { streams, onStream } = keeper();
    const liveness = { pingIntervalMs: 100, pingTimeoutMs: 500 };
    const pair = await turnedPair(onStream, { liveness });
    let link: FaultyLink | null = null;
    const through = async (port: number): Promise<number> => {
      link = await FaultyLink.to(port);
      return link.port;
    };
    const beside = await turnedPair(onStream, { liveness, through });
    try {
      const [stream] = [await pair.server.open('www.test', DIAL), await beside.server.open('www.test', DIAL)];
      for (const { server } of [pair, beside]) server.drain('drained', 60_000);
      (link as FaultyLink | null)?.stall();
      const over = Promise.race([pair.server.closed, pair.agent.closed]);
      // By then one that does not live on was noticed, at both of its ends.
      const noticed = Promise.all([beside.server.closed, beside.agent.closed]).then(() => 'alive');
      assert.equal(await within('the end of the other one', Promise.race([over, noticed])), 'alive');
      streams[0]?.end('done');
      streams[0]?.resume();
      stream.end();
      assert.equal(await text(stream), 'done');
    } finally {
      pair.close();
      beside.close();
      await (link as FaultyLink | null)?.close();
    }
  }),
);
