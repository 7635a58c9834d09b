import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http from 'node:http';
import * as net from 'node:net';
import { it } from 'node:test';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { visit } from '../support/curl.ts';
import { Inbox } from '../support/inbox.ts';
import { listenOn } from '../support/listen-on.ts';
import { startCli } from '../support/run-cli.ts';
import { steadyPort } from '../support/steady-port.ts';
import { missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { within } from '../support/within.ts';

const SECRET = 'the-secret-of-these-tests';
const DOMAIN = 'www.example.com';

it('SIGTERM gives ports and Unix socket to a new process at once; downloads and sessions of the old one go on up to `drain`', {
  skip: missingTools('curl'),
}, async () => {
  await using stack = new AsyncDisposableStack();
  const downloads: http.ServerResponse[] = [];
  const target = http.createServer((request, response) => {
    if (request.url !== '/download') return void response.end('a new visitor');
    response.write('first ');
    downloads.push(response);
  });
  const session = net.createServer((socket) => void socket.on('error', () => {}).pipe(socket));
  stack.defer(() => void target.close().closeAllConnections());
  stack.defer(() => void session.close());
  const [targetPort, sessionPort] = [await listenOn(target), await listenOn(session)];
  const [port, tcpPort] = [await steadyPort(), await steadyPort()];
  const { certFile, keyFile } = testCertificate();
  const agent = { active: true, secret: SECRET, remote: `127.0.0.1:${port}`, ca: testAuthority().certFile };
  const files = {
    'server/server.json5': JSON.stringify({
      listen: [`127.0.0.1:${port}`, { address: 'unix:door.sock', mode: '0600' }],
      certificates: [{ hosts: ['*'], cert: certFile, key: keyFile }],
      drain: '20s',
    }),
    [`server/domains/${DOMAIN}.json5`]: JSON.stringify({
      active: true,
      secret: SECRET,
      listen: `127.0.0.1:${tcpPort}`,
    }),
    'agent/agent.json5': '{ drain: "20s" }',
    [`agent/domains/${DOMAIN}.json5`]: JSON.stringify({
      ...agent,
      targets: [{ target: `http://127.0.0.1:${targetPort}` }],
      ports: { [tcpPort]: `127.0.0.1:${sessionPort}` },
    }),
  };
  await withFolder(files, async (folder) => {
    const start = async () => {
      const server = startCli(['server', '-c', `${folder}/server/server.json5`]);
      stack.defer(() => void server.child.kill('SIGKILL'));
      await server.see(/ready; /);
      return server;
    };
    const old = await start();
    const dialling = startCli(['agent', '-c', `${folder}/agent/agent.json5`]);
    stack.defer(() => void dialling.child.kill('SIGKILL'));
    await old.see(/"tunnel-opened"/);
    const download = visit(DOMAIN, port, '/download', ['--cacert', testAuthority().certFile]);
    const open = net.connect(tcpPort, '127.0.0.1');
    stack.defer(() => void open.destroy());
    const inbox = new Inbox(open);
    open.write('before ');
    await inbox.received(7);
    while (downloads.length === 0) await within('the download', once(target, 'request'));

    old.child.kill('SIGTERM');
    await old.see(/draining: no new connections/);
    const next = await start();
    await next.see(/"tunnel-opened"/);
    assert.equal(await visit(DOMAIN, port, '/', ['--cacert', testAuthority().certFile]), 'a new visitor');
    const byUnix = ['--cacert', testAuthority().certFile, '--unix-socket', `${folder}/server/door.sock`];
    assert.equal(await visit(DOMAIN, port, '/', byUnix), 'a new visitor', 'by the Unix socket');
    assert.equal(old.child.exitCode, null, 'the old process serves what it has');
    open.write('after');
    await inbox.received(12);
    assert.equal(inbox.text, 'before after');
    downloads[0]?.end('and last');
    assert.equal(await download, 'first and last');
    open.end();
    const { code } = await old.end();
    assert.equal(code, 0);
    assert.equal(await visit(DOMAIN, port, '/', byUnix), 'a new visitor', 'the old one took nothing of the new one');
  });
});
