import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import { type Mock, mock, test } from 'node:test';
import type { ExchangeHandler } from '../../src/net/exchange.ts';
import { Http2Exchange } from '../../src/net/http2-exchange.ts';
import { unacknowledgedBytes } from '../../src/net/kernel-queue.ts';
import { listenOn } from '../support/listen-on.ts';
import { eventually } from '../support/within.ts';

interface Kit {
  readonly exchange: Http2Exchange;
  readonly stream: http2.ServerHttp2Stream;
  /** What the exchange's handler was told, in order. */
  readonly told: string[];
  /** The time-outs that were set on the stream, in order. */
  readonly timeouts: () => unknown[];
  /** The visitor's end of it: takes what its window has room for. */
  readonly visitor: http2.ClientHttp2Stream;
}

const WRITE_MS = 60_000;
const LOOK_MS = 30_000;

/** A request to a server of which the visitor's window takes `windowBytes`, as an exchange. */
async function withExchange(windowBytes: number, action: (kit: Kit) => Promise<void>): Promise<void> {
  const server = http2.createServer();
  const port = await listenOn(server);
  const session = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: windowBytes } });
  session.on('error', () => {});
  try {
    const visitor = session.request({ ':path': '/' });
    visitor.on('error', () => {});
    const [stream] = (await once(server, 'stream')) as [http2.ServerHttp2Stream];
    stream.on('error', () => {});
    const setTimeout: Mock<typeof stream.setTimeout> = mock.method(stream, 'setTimeout');
    const exchange = new Http2Exchange(stream, { method: 'GET', ended: true, writeMs: WRITE_MS, onClosed: () => {} });
    const told: string[] = [];
    exchange.handler = {
      exchangeDrain: () => void told.push('drain'),
      exchangeDone: () => void told.push('done'),
      exchangeGone: (error: Error) => void told.push(`gone: ${error.message}`),
    } as unknown as ExchangeHandler;
    const timeouts = () => setTimeout.mock.calls.map((call) => call.arguments[0]);
    await action({ exchange, stream, told, timeouts, visitor });
  } finally {
    session.destroy();
    server.close();
  }
}

test('a visitor that has to take more before more is written is watched, until it has', async () => {
  await withExchange(1_000, async ({ exchange, told, timeouts, visitor }) => {
    exchange.respond(200, 'OK', [], 'close');
    for (const times of [1, 2]) {
      assert.equal(exchange.write(Buffer.alloc(100_000)), false);
      assert.equal(told.length, times - 1);
      visitor.resume();
      await eventually('it drains', () => told.length === times);
    }
    assert.deepEqual(told, ['drain', 'drain'], 'each time once');
    assert.deepEqual(timeouts(), [LOOK_MS, 0, LOOK_MS, 0]);
  });
});

test('a visitor that took all while the kernel was asked is not watched any more', async () => {
  await withExchange(1_000, async ({ exchange, stream, told, timeouts, visitor }) => {
    exchange.respond(200, 'OK', [], 'close');
    assert.equal(exchange.write(Buffer.alloc(100_000)), false);
    visitor.resume();
    await eventually('it drains', () => told.length === 1);
    for (const _look of [1, 2]) {
      stream.emit('timeout');
      // Both look at the same reading of what the kernel holds.
      await unacknowledgedBytes(stream.session?.socket ?? {});
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(timeouts(), [LOOK_MS, 0]);
    assert.equal(exchange.gone, null);
  });
});

test('a visitor that keeps even a small end of an answer waiting is watched', async () => {
  await withExchange(0, async ({ exchange, timeouts }) => {
    exchange.respond(200, 'OK', [], 'close');
    exchange.end([], Buffer.from('a'));
    assert.deepEqual(timeouts(), [LOOK_MS]);
  });
});

test('the end of an exchange tells what broke its stream', async () => {
  await withExchange(1_000, async ({ stream, told }) => {
    stream.destroy(new Error('what broke it'));
    await eventually('its end is told', () => told.length === 1);
    assert.match(told[0] ?? '', /^gone: .*what broke it/);
    assert.deepEqual(stream.eventNames(), ['error'], 'what listened is not kept with it');
  });
  await withExchange(1_000, async ({ visitor, told }) => {
    visitor.close(http2.constants.NGHTTP2_CANCEL);
    await eventually('its end is told', () => told.length === 1);
    assert.match(told[0] ?? '', /^gone: .*RST_STREAM code 8/);
  });
});
