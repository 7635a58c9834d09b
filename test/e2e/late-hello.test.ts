import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as netConnect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import { withServer } from '../support/with-server.ts';
import { within } from '../support/within.ts';

const READ_TIMEOUT_MS = 3_000;
/** How late the ClientHello is. */
const HELLO_MS = 2_000;

const HALF = {
  'http/1.1': 'GET /.well-known/backdial-agent HTTP/1.1\r\nHost: www.test\r\nUpgrade: pt',
  h2: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
};

for (const [protocol, half] of Object.entries(HALF)) {
  test(`a late ClientHello leaves less time for the first head: one deadline, from accept (${protocol})`, async () => {
    await withServer({ readTimeoutMs: READ_TIMEOUT_MS }, async ({ port, events }) => {
      const raw = netConnect(port, '127.0.0.1');
      await once(raw, 'connect');
      const acceptedAt = performance.now();
      await sleep(HELLO_MS);
      const options = { rejectUnauthorized: false, ALPNProtocols: [protocol], servername: 'www.test' };
      const socket = tlsConnect({ socket: raw, ...options });
      socket.on('error', () => {});
      socket.write(half);
      socket.resume();
      const refused = await within('the refusal', events.wait('connection-refused'), 10_000);
      const ms = performance.now() - acceptedAt;
      socket.destroy();
      assert.equal(refused.reason, 'request-timeout');
      assert.ok(ms > READ_TIMEOUT_MS - 100 && ms < HELLO_MS + READ_TIMEOUT_MS - 500, `${ms} ms after accept`);
    });
  });
}
