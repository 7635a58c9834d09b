import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import * as http2 from 'node:http2';
import * as net from 'node:net';
import { type TestContext, test } from 'node:test';
import * as tls from 'node:tls';
import { isNewcomer, lastCall } from '../../src/server/last-call.ts';
import { withHttpsWay } from '../support/https-way.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { connectPeer, type Peer, startRawTarget } from '../support/raw-target.ts';
import { connectWire } from '../support/sockets.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { withTunnel } from '../support/with-tunnel.ts';
import { eventually, within } from '../support/within.ts';

const GET = 'GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n';

test('who came within the last second is a newcomer', (context) => {
  context.mock.method(performance, 'now', () => 5_000);
  assert.deepEqual(
    [4_999, 4_001, 4_000, 0].map((acceptedAt) => isNewcomer({ acceptedAt })),
    [true, true, false, false],
  );
});

test('newcomers are waited for until there are none', async () => {
  const counts = [3, 1, 0, 7];
  await lastCall(() => counts.shift() ?? 0);
  assert.deepEqual(counts, [7]);
});

test('newcomers who ask for nothing are not waited for after half a second', async (context) => {
  let now = 0;
  context.mock.method(performance, 'now', () => {
    now += 200;
    return now;
  });
  await lastCall(() => 1);
  assert.equal(now, 800);
});

/** A second later than now there is nobody who came just now. */
function assertGrowsOld(context: TestContext, way: { readonly newcomers: number }): void {
  const later = performance.now() + 1_001;
  const { mock } = context.mock.method(performance, 'now', () => later);
  assert.equal(way.newcomers, 0);
  mock.restore();
}

test('a connection of HTTP/1.1 is a newcomer for a moment, until it has asked for something', async (context) => {
  await withHttpsWay({}, async ({ way, visitor, target }) => {
    const from = await visitor();
    await eventually('a newcomer', () => way.newcomers === 1);
    assertGrowsOld(context, way);
    await from.send(GET);
    const to = await target.next();
    assert.equal(way.newcomers, 0);
    await to.send('HTTP/1.1 204 No Content\r\n\r\n');
    await from.receivedText('\r\n\r\n');
    assert.equal(way.newcomers, 0, 'it is kept, and idle');
    from.close();
  });
});

test('a session of HTTP/2 is a newcomer for a moment, until it has asked for something', async (context) => {
  await withHttpsWay({}, async ({ port, way, target }) => {
    const { stream } = await connectWire(port, { tls: true, alpn: ['h2'], halfOpen: false });
    const session = http2.connect('https://www.example.com', { createConnection: () => stream });
    session.on('error', () => {});
    await eventually('a newcomer', () => way.newcomers === 1);
    assertGrowsOld(context, way);
    const answered = once(session.request({ ':path': '/', ':authority': 'www.example.com' }), 'response');
    const to = await target.next();
    assert.equal(way.newcomers, 0);
    await to.send('HTTP/1.1 204 No Content\r\n\r\n');
    await within('an answer', answered);
    assert.equal(way.newcomers, 0, 'it is kept, and idle');
    session.destroy();
  });
});

test(
  'a visitor whose connection was accepted just before the drain is served, its handshake made or not',
  undisturbed(async () => {
    const web = createServer((_request, response) => void response.end('served'));
    const closeWeb = closerOf(web);
    try {
      await withTunnel({ target: await listenOn(web) }, async ({ server, frontDoor }) => {
        const raw = net.connect(frontDoor, '127.0.0.1');
        await once(raw, 'connect');
        // Who comes after it was accepted after it.
        const visitor = await connectPeer(frontDoor, { tls: true });
        const closed = server.close({ drainMs: 10_000 });
        await visitor.send(GET);
        assert.match(await visitor.receivedText('served'), /^HTTP\/1\.1 200 /);
        visitor.close();
        const late = tls.connect({ socket: raw, servername: 'www.example.com', rejectUnauthorized: false });
        late.write(GET);
        assert.match(String(await within('an answer', once(late, 'data'))), /^HTTP\/1\.1 200 /);
        late.destroy();
        await closed;
      });
    } finally {
      await closeWeb();
    }
  }),
);

for (const way of ['byte stream', 'exchange'] as const) {
  test(
    `who waits for a place when the drain begins gets it where one is free soon: ${way}`,
    undisturbed(async () => {
      const target = await startRawTarget();
      try {
        await withTunnel({ target: target.port, domain: { concurrency: 1 } }, async ({ server, frontDoor, tcp }) => {
          const visit = async (request: string): Promise<Peer> => {
            const peer = await connectPeer(way === 'exchange' ? frontDoor : tcp, { tls: way === 'exchange' });
            await peer.send(request);
            return peer;
          };
          const first = await visit(GET);
          const held = await target.next();
          const second = await visit(GET);
          // Once another was answered, the second has come, too.
          const other = await connectPeer(frontDoor, { tls: true });
          await other.send('GET / HTTP/1.1\r\nHost: unknown.example.com\r\n\r\n');
          await other.receivedText('\r\n\r\n');
          const closed = server.close({ drainMs: 10_000 });
          first.reset();
          const late = await target.next();
          await late.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
          await second.receivedText('HTTP/1.1 200 OK');
          for (const peer of [held, late, second, other]) peer.close();
          await closed;
        });
      } finally {
        await target.close();
      }
    }),
  );
}
