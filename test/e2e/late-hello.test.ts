import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as netConnect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import { undisturbed } from '../support/undisturbed.ts';
import { withServer } from '../support/with-server.ts';

const READ_TIMEOUT_MS = 2_000;
/** How much later those come that say hello at once. */
const LATER_MS = 400;

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

test(
  'a late ClientHello leaves less time for the first head: one deadline, from accept',
  undisturbed(async () => {
    await withServer({ readTimeoutMs: READ_TIMEOUT_MS }, async ({ port, events }) => {
      const late = [await accepted(port), await accepted(port)] as const;
      // A busy machine changes the order of what is due within some milliseconds.
      await sleep(LATER_MS);
      const prompt = [await accepted(port), await accepted(port)] as const;
      for (const [http1, http2] of [prompt, late]) {
        await begin(http1, 'http/1.1');
        await begin(http2, 'h2');
      }
      const ports = [...late, ...prompt].map(({ localPort }) => localPort);
      const refused = await events.until('connection-refused', ports.length);
      assert.deepEqual(new Set(refused.map(({ reason }) => reason)), new Set(['request-timeout']));
      const order = refused.map(({ remote }) => ports.indexOf(Number(remote.split(':')[1])));
      assert.deepEqual(order.slice(0, 2).toSorted(), [0, 1], `the order was ${order}`);
      for (const socket of [...late, ...prompt]) socket.destroy();
    });
  }),
);
