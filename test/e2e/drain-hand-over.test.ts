import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as http from 'node:http';
import { it } from 'node:test';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { visit } from '../support/curl.ts';
import { Inbox } from '../support/inbox.ts';
import { listenOn } from '../support/listen-on.ts';
import { startCli } from '../support/run-cli.ts';
import { type TestSshd, withSshd } from '../support/sshd.ts';
import { steadyPort } from '../support/steady-port.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { within } from '../support/within.ts';

const SECRET = 'the-secret-of-these-tests';
const DOMAIN = 'www.example.com';

/** A session over SSH whose far end sends back what it gets. */
function openSession({ flags, user }: TestSshd, port: number) {
  const args = [...flags, '-p', String(port), `${user}@127.0.0.1`, 'cat'];
  const child = spawn(findTool('ssh'), args, { stdio: ['pipe', 'pipe', 'ignore'] });
  return { child, said: new Inbox(child.stdout), ended: once(child, 'exit') };
}

it(
  'SIGTERM gives ports and Unix socket to a new process at once; a download and an SSH session go on up to `drain`',
  {
    skip: missingTools('curl', 'sshd', 'ssh', 'ssh-keygen'),
  },
  () => withSshd(handOver),
);

async function handOver(sshd: TestSshd): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const downloads: http.ServerResponse[] = [];
  const target = http.createServer((request, response) => {
    if (request.url !== '/download') return void response.end('a new visitor');
    response.write('first ');
    downloads.push(response);
  });
  stack.defer(() => void target.close().closeAllConnections());
  const targetPort = await listenOn(target);
  const [port, tcpPort] = [await steadyPort(), await steadyPort()];
  const { certFile, keyFile } = testCertificate();
  const agent = { active: true, secret: SECRET, remote: `127.0.0.1:${port}`, ca: testAuthority().certFile };
  const files = {
    'server/server.json5': JSON.stringify({
      listen: [`127.0.0.1:${port}`, { address: 'unix:door.sock', mode: '0600' }],
      certificates: [{ hosts: ['*'], cert: certFile, key: keyFile }],
      drain: '60s',
    }),
    [`server/domains/${DOMAIN}.json5`]: JSON.stringify({
      active: true,
      secret: SECRET,
      listen: `127.0.0.1:${tcpPort}`,
    }),
    'agent/agent.json5': '{ drain: "60s" }',
    [`agent/domains/${DOMAIN}.json5`]: JSON.stringify({
      ...agent,
      targets: [{ target: `http://127.0.0.1:${targetPort}` }],
      ports: { [tcpPort]: `127.0.0.1:${sshd.port}` },
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
    // As long as all that follows, on a busy machine, too.
    const patient = ['--cacert', testAuthority().certFile, '--max-time', '120'];
    const download = visit(DOMAIN, port, '/download', patient);
    const session = openSession(sshd, tcpPort);
    stack.defer(() => void session.child.kill('SIGKILL'));
    session.child.stdin.write('before ');
    await session.said.received(7);
    while (downloads.length === 0) await within('the download', once(target, 'request'));

    old.child.kill('SIGTERM');
    await old.see(/draining: no new connections/);
    const next = await start();
    await next.see(/"tunnel-opened"/);
    assert.equal(await visit(DOMAIN, port, '/', ['--cacert', testAuthority().certFile]), 'a new visitor');
    const byUnix = ['--cacert', testAuthority().certFile, '--unix-socket', `${folder}/server/door.sock`];
    assert.equal(await visit(DOMAIN, port, '/', byUnix), 'a new visitor', 'by the Unix socket');
    assert.equal(old.child.exitCode, null, 'the old process serves what it has');
    session.child.stdin.write('after');
    await session.said.received(12);
    assert.equal(session.said.text, 'before after');
    const fresh = openSession(sshd, tcpPort);
    fresh.child.stdin.end('a new session');
    assert.deepEqual([await within('the new session', fresh.ended), fresh.said.text], [[0, null], 'a new session']);
    downloads[0]?.end('and last');
    assert.equal(await download, 'first and last');
    session.child.stdin.end();
    assert.deepEqual(await within('the end of the session', session.ended), [0, null]);
    const { code } = await old.end();
    assert.equal(code, 0);
    assert.equal(await visit(DOMAIN, port, '/', byUnix), 'a new visitor', 'the old one took nothing of the new one');
  });
}
