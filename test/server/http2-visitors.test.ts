import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { ExchangeRouter } from '../../src/server/exchange-router.ts';
import { Http2Visitors } from '../../src/server/http2-visitors.ts';
import type { ServerOptions } from '../../src/server/options.ts';
import { resolveServerOptions } from '../../src/server/resolve-options.ts';
import type { VisitorConnection } from '../../src/server/visitor.ts';
import { testCertificate } from '../support/certificates.ts';
import { EventLog } from '../support/event-log.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { within } from '../support/within.ts';

/** One end of a connection in memory. Once it is stuck, nothing that is written is taken. */
class End extends Duplex {
  peer: End | null = null;
  isStuck = false;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    if (this.isStuck) return;
    this.peer?.push(chunk);
    callback();
  }

  override _final(callback: () => void): void {
    if (this.isStuck) return;
    this.peer?.push(null);
    callback();
  }
}

/** A visitor's session with visitors that wait for nothing but `writeTimeout`, 50 ms; its exchanges are never answered. */
async function withVisitor(
  body: (kit: {
    visitors: Http2Visitors;
    session: http2.ClientHttp2Session;
    near: End;
    gone: Promise<void>;
  }) => Promise<void>,
  given: Partial<ServerOptions> = {},
): Promise<void> {
  const { cert, key } = testCertificate();
  const options = resolveServerOptions({
    listen: [{ host: '127.0.0.1', port: 0 }],
    certificates: [{ hosts: ['*'], cert, key }],
    domains: [],
    readTimeoutMs: 60_000,
    writeTimeoutMs: 50,
    ...given,
  });
  const router = { serve: () => Promise.resolve() } as unknown as ExchangeRouter;
  const { promise: gone, resolve: onGone } = Promise.withResolvers<void>();
  const visitors = new Http2Visitors({ options, router, onGone: () => onGone() });
  const [near, far] = [new End(), new End()];
  [near.peer, far.peer] = [far, near];
  for (const end of [near, far]) end.on('error', () => {});
  const connection = { remote: '192.0.2.1:1', name: null, acceptedAt: performance.now() };
  visitors.accept(near as unknown as TLSSocket, connection as VisitorConnection);
  const session = http2.connect('https://www.example.com', { createConnection: () => far });
  session.on('error', () => {});
  try {
    await within('settings', once(session, 'remoteSettings'));
    await body({ visitors, session, near, gone });
  } finally {
    session.destroy();
    near.destroy();
    far.destroy();
  }
}

test(
  'draining: a visitor that reads nothing, not even the GOAWAY, is not kept',
  undisturbed(() =>
    withVisitor(async ({ visitors, near, gone }) => {
      near.isStuck = true;
      visitors.drain();
      await within('the end of the connection', gone);
      assert.equal(near.destroyed, true);
      assert.equal(visitors.size, 0);
    }),
  ),
);

test(
  'draining: a visitor that reads nothing is not kept when its last stream is over, and not cut before',
  undisturbed(() =>
    withVisitor(async ({ visitors, session, near, gone }) => {
      const stream = session.request({ ':path': '/' });
      stream.on('error', () => {});
      await within('the ping behind it', new Promise((resolve) => session.ping(resolve)));
      near.isStuck = true;
      visitors.drain();
      // One without a stream that drains from now on is cut first.
      await withVisitor(async (idle) => {
        idle.near.isStuck = true;
        idle.visitors.drain();
        await within('the end of the idle one', idle.gone);
      });
      assert.equal(near.destroyed, false, 'a stream is open');
      stream.close(http2.constants.NGHTTP2_CANCEL);
      await within('the end of the connection', gone);
      assert.equal(near.destroyed, true);
      assert.equal(visitors.size, 0);
    }),
  ),
);

test(
  'a visitor that asks for nothing is told of with the time that it had',
  undisturbed(async () => {
    const events = new EventLog();
    const given = { readTimeoutMs: 0, idleTimeoutMs: 20, observer: events.observer };
    await withVisitor(async ({ gone }) => within('the end of the connection', gone), given);
    assert.deepEqual(
      events.of('connection-refused').map(({ detail }) => detail),
      ['no request within 20 ms'],
    );
  }),
);
