import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import tls, { type TLSSocket } from 'node:tls';
import { issueCertificate, TEST_NAMES, testAuthority } from '../support/certificates.ts';
import { withConfigDeployment } from '../support/config-deployment.ts';
import { startHttpTarget } from '../support/http-target.ts';
import { Inbox } from '../support/inbox.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { steadyPort } from '../support/steady-port.ts';
import { within } from '../support/within.ts';

const SERVER = 'server/server.json5';

/** A visitor's TLS over a connection that may have begun with a header of PROXY protocol. */
async function visit(to: net.NetConnectOpts, header = ''): Promise<TLSSocket> {
  const socket = net.connect(to);
  if (header !== '') socket.write(header);
  const visitor = tls.connect({ socket, servername: 'www.example.com', ca: testAuthority().cert });
  await within('the handshake', once(visitor, 'secureConnect'));
  return visitor;
}

async function ask(visitor: TLSSocket): Promise<string> {
  const inbox = new Inbox(visitor);
  visitor.write('GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
  await inbox.receivedText('the target');
  visitor.removeAllListeners('data');
  return inbox.text.slice(9, 12);
}

const certificateOf = (visitor: TLSSocket) => visitor.getPeerCertificate().fingerprint256;

test("a listener's certificates, PROXY header and mode change for who comes next; who is connected goes on", async () => {
  const target = http.createServer((_request, response) => response.end('the target'));
  const close = closerOf(target);
  await withConfigDeployment(await listenOn(target), async (deployment) => {
    const { port, folder, server, write, change, events, serverFile } = deployment;
    const visitors: TLSSocket[] = [];
    const come = async (...args: Parameters<typeof visit>) => {
      visitors.push(await visit(...args));
      return visitors.at(-1) as TLSSocket;
    };
    const path = join(folder, 'server', 'door.sock');
    const front = { address: `127.0.0.1:${port}` };
    const local = { address: 'unix:door.sock', mode: '0600' };
    await change(SERVER, serverFile({ listen: [front, local] }));
    const first = await come({ port, host: '127.0.0.1' });
    const byPath = await come({ path });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const opened = () => events(server, 'listening').map(({ address }) => address);
    const before = opened();

    const own = issueCertificate(TEST_NAMES);
    write('server/own.pem', own.cert);
    write('server/own.key', own.key);
    const certificates = [{ hosts: '*', cert: 'own.pem', key: 'own.key' }];
    await change(SERVER, serverFile({ listen: [{ ...front, certificates }, local] }));
    const second = await come({ port, host: '127.0.0.1' });
    assert.notEqual(certificateOf(second), certificateOf(first));
    assert.equal(certificateOf(await come({ path })), certificateOf(byPath));

    await change(SERVER, serverFile({ listen: [{ ...front, certificates, proxyProtocol: '127.0.0.1' }, local] }));
    await assert.rejects(visit({ port, host: '127.0.0.1' }), { code: 'ECONNRESET' });
    await server.see(/"reason":"proxy-header-invalid"/);
    const behind = await come({ port, host: '127.0.0.1' }, 'PROXY TCP4 203.0.113.7 127.0.0.1 1 443\r\n');
    assert.equal(certificateOf(behind), certificateOf(second));
    await change(SERVER, serverFile({ listen: [front, local] }));
    assert.equal(certificateOf(await come({ port, host: '127.0.0.1' })), certificateOf(first));
    assert.deepEqual(opened(), before, 'no listener was opened anew');

    await change(SERVER, serverFile({ listen: [front, { ...local, mode: '0660' }] }));
    assert.equal(statSync(path).mode & 0o777, 0o660);
    await come({ path });
    for (const visitor of visitors) assert.equal(await ask(visitor), '200');
    assert.deepEqual(events(server, 'tunnel-closed'), []);
    for (const visitor of visitors) visitor.destroy();
  });
  await close();
});

test('a front door and `admin` that swap their addresses are both open after it', async () => {
  const target = await startHttpTarget();
  const admin = await steadyPort();
  try {
    await withConfigDeployment(target.port, async ({ port, server, change, events, serverFile }) => {
      await change(SERVER, serverFile({ admin: { listen: `127.0.0.1:${admin}` } }));
      await change(SERVER, serverFile({ listen: [`127.0.0.1:${admin}`], admin: { listen: `127.0.0.1:${port}` } }));
      assert.deepEqual(events(server, 'config-failed'), []);
      assert.equal(await (await fetch(`http://127.0.0.1:${port}/health`)).text(), 'OK');
      (await visit({ port: admin, host: '127.0.0.1' })).destroy();
    });
  } finally {
    await target.close();
  }
});
