import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as http from 'node:http';
import { test } from 'node:test';
import { listenOn } from '../support/listen-on.ts';
import { DOMAIN, withTunnel } from '../support/with-tunnel.ts';
import { eventually } from '../support/within.ts';

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n';

/** In a process of their own, so that a reset meets the session tickets that the server writes behind a handshake of TLS 1.3. */
const VISITORS = `
const net = require('node:net'), tls = require('node:tls');
const [, port, servername] = process.argv;
function visit() {
  const raw = net.connect(port, '127.0.0.1');
  const visitor = tls.connect({ socket: raw, servername, rejectUnauthorized: false }).on('error', () => {});
  visitor.on('secureConnect', () => {
    visitor.write('GET / HTTP/1.1\\r\\nHost: ' + servername + '\\r\\nConnection: Upgrade\\r\\nUpgrade: test\\r\\n\\r\\n');
    setTimeout(() => raw.resetAndDestroy(), 0);
  });
  return new Promise((resolve) => raw.on('close', resolve));
}
async function visits() {
  for (let count = 0; count < 20; count += 1) await visit();
}
Promise.all(Array.from({ length: 10 }, visits));
`;

test('visitors that reset right behind their handshake and a request are not held for ever', async () => {
  const target = http.createServer();
  let switched = 0;
  target.on('upgrade', (_request, socket) => {
    switched += 1;
    socket.on('error', () => {});
    socket.write(`${SWITCH}first`);
    socket.pipe(socket);
  });
  await withTunnel({ target: await listenOn(target) }, async ({ frontDoor, serverEvents }) => {
    const visitors = spawn(process.execPath, ['-e', VISITORS, String(frontDoor), DOMAIN], { stdio: 'inherit' });
    assert.deepEqual(await once(visitors, 'exit'), [0, null]);
    await eventually('a record of each', () => serverEvents.of('access').length >= switched, 10_000);
  });
  target.close();
});
