import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http from 'node:http';
import * as net from 'node:net';
import { it } from 'node:test';
import { Inbox } from '../support/inbox.ts';
import { listenOn } from '../support/listen-on.ts';
import { runTool } from '../support/real-program.ts';
import { startCli } from '../support/run-cli.ts';
import { missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually } from '../support/within.ts';

const SECRET = 'the-secret-of-these-tests';
const DOMAIN = 'www.example.com';
const LIMIT = 256;
const FILES = {
  'server.json5': '{ listen: "127.0.0.1:0", readTimeout: "60s" }',
  [`domains/${DOMAIN}.json5`]: `{ active: true, secret: "${SECRET}", listen: "127.0.0.1:0" }`,
};

/** What an existing visitor of the TCP way in gets. */
async function ask(visitor: net.Socket): Promise<string> {
  const inbox = new Inbox(visitor);
  visitor.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await inbox.received(15);
  return inbox.text.slice(9, 15);
}

it('a server at its limit of descriptors serves whom it has, lets agents in, and nobody else until it is over', {
  skip: missingTools('prlimit', 'curl'),
}, async () => {
  await using stack = new AsyncDisposableStack();
  const target = http.createServer((_request, response) => response.end('ok'));
  stack.defer(() => void target.close().closeAllConnections());
  const targetPort = await listenOn(target);
  await withFolder(FILES, async (folder) => {
    const server = startCli(['server', '-c', `${folder}/server.json5`]);
    stack.defer(() => void server.child.kill('SIGKILL'));
    const [, pin = ''] = await server.see(/--pin (sha256\/[\w+/]{43}=)/);
    const [, port = ''] = await server.see(/listening on 127\.0\.0\.1:(\d+) \(front door\)/);
    const [, tcpPort] = await server.see(/listening on 127\.0\.0\.1:(\d+) \(TCP of/);
    await server.see(/ready; /);
    const lowered = await runTool('prlimit', [`--pid=${server.child.pid}`, `--nofile=${LIMIT}:${LIMIT}`]);
    assert.equal(lowered.code, 0, lowered.stderr);
    const startAgent = (instance: string) => {
      const flags = ['--server', `127.0.0.1:${port}`, '--domain', DOMAIN, '--secret', SECRET, '--pin', pin];
      const agent = startCli(['http', String(targetPort), ...flags, '--instance', instance]);
      stack.defer(() => void agent.child.kill('SIGKILL'));
    };
    startAgent('one');
    await server.see(/"tunnel-opened".*"instance":"one"/);
    const visitor = net.connect(Number(tcpPort), '127.0.0.1');
    stack.defer(() => void visitor.destroy());
    assert.equal(await ask(visitor), '200 OK');

    const silent: net.Socket[] = [];
    let closed = 0;
    stack.defer(() => {
      for (const socket of silent) socket.destroy();
    });
    for (let index = 0; index < 2 * LIMIT; index += 1) {
      const socket = net.connect(Number(port), '127.0.0.1');
      socket
        .on('error', () => {})
        .on('close', () => {
          closed += 1;
        });
      silent.push(socket);
      if (index % 32 === 0) await once(socket, 'connect');
    }
    await server.see(/the limit of 256 open files is near .*only agents are let in/);
    await eventually('who is too many is closed', () => closed > LIMIT);
    assert.equal(await ask(visitor), '200 OK', 'an existing visitor');
    startAgent('two');
    await server.see(/"tunnel-opened".*"instance":"two"/);
    const flags = ['-sk', '--noproxy', '*', '--max-time', '60', '--resolve', `${DOMAIN}:${port}:127.0.0.1`];
    const status = async (...more: string[]) => {
      const args = [...flags, ...more, '-o', '/dev/null', '-w', '%{http_code}', `https://${DOMAIN}:${port}/`];
      return (await runTool('curl', args)).stdout;
    };
    assert.equal(await status(), '000', 'a browser, by its ALPN, before any TLS');
    assert.equal(await status('--no-alpn'), '503', 'who might have been an agent');

    for (const socket of silent) socket.destroy();
    for (let tries = 0; (await status()) !== '200'; tries += 1) assert.ok(tries < 200, 'it recovers');
    const lost = server.output().stdout.includes('"event":"tunnel-closed"');
    assert.equal(lost, false, 'no tunnel was lost');
  });
});
