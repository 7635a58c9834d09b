import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as netConnect, type Socket } from 'node:net';
import { test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { withServer } from '../support/with-server.ts';

const READ_TIMEOUT_MS = 2_000;

const HALF = {
  'http/1.1': 'GET /.well-known/backdial-agent HTTP/1.1\r\nHost: www.test\r\nUpgrade: pt',
  h2: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
};

async function accepted(port: number): Promise<Socket> {
  const raw = netConnect(port, '127.0.0.1');
  await once(raw, 'connect');
  return raw;
}

/** Says hello and half of the first head. */
async function begin(raw: Socket, protocol: keyof typeof HALF): Promise<void> {
  const options = { rejectUnauthorized: false, ALPNProtocols: [protocol], servername: 'www.test' };
  const socket = tlsConnect({ socket: raw, ...options });
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'secureConnect');
  socket.write(HALF[protocol]);
}

function placesOf(order: readonly number[], which: readonly number[]): number[] {
  return which.map((each) => order.indexOf(each));
}

test('a late ClientHello leaves less time for the first head: one deadline, from accept', async () => {
  await withServer({ readTimeoutMs: READ_TIMEOUT_MS }, async ({ port, events }) => {
    const late = [await accepted(port), await accepted(port)] as const;
    // So many handshakes later.
    const prompt: Socket[] = [];
    for (const protocol of ['http/1.1', 'h2', 'http/1.1', 'h2', 'http/1.1', 'h2'] as const) {
      const raw = await accepted(port);
      prompt.push(raw);
      await begin(raw, protocol);
    }
    await begin(late[0], 'http/1.1');
    await begin(late[1], 'h2');
    const ports = [...late, ...prompt].map(({ localPort }) => localPort);
    const refused = await events.until('connection-refused', ports.length);
    assert.deepEqual(new Set(refused.map(({ reason }) => reason)), new Set(['request-timeout']));
    const order = refused.map(({ remote }) => ports.indexOf(Number(remote.split(':')[1])));
    // Those that were accepted within the same milliseconds may change places.
    const [lastLate, firstOfLast] = [Math.max(...placesOf(order, [0, 1])), Math.min(...placesOf(order, [6, 7]))];
    assert.ok(lastLate < firstOfLast, `the order was ${order}`);
    for (const socket of [...late, ...prompt]) socket.destroy();
  });
});
