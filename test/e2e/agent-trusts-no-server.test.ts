import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { Way } from '../../src/index.ts';
import { testAuthority } from '../support/certificates.ts';
import { startEchoTarget } from '../support/echo-target.ts';
import { FakeServer } from '../support/fake-server.ts';
import { listenOn } from '../support/listen-on.ts';
import { MAIN } from '../support/run-cli.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually, within } from '../support/within.ts';

/** Of clouds: whoever reaches it has the machine's credentials. */
const METADATA = '169.254.169.254';

/** Requests that ask for another host than that of the domain, by every word that HTTP has for one. */
function hostileRequests(trap: string): string[] {
  const bodyless = ['Connection: close', '', ''].join('\r\n');
  const targets = [
    `http://${trap}/`,
    `https://${trap}/`,
    `http://www.test@${trap}/`,
    `//${trap}/`,
    `/api//${trap}/`,
    `/api/@${trap}/`,
    `/api/%2e%2e/%2e%2e/@${trap}/`,
    `/api/..%2f..%2f/${trap}`,
    `/api/\\\\${trap}\\`,
    `/api/%0d%0aHost:%20${trap}`,
    `/api/?url=http://${trap}/`,
    '*',
  ];
  const hosts = [
    trap,
    `www.test@${trap}`,
    'localhost',
    `${METADATA}`,
    '127.0.0.1.nip.io',
    '[::1]:22',
    '0x7f000002',
    'www.test',
  ];
  return [
    ...targets.map((target) => `GET ${target} HTTP/1.1\r\nHost: www.test\r\n${bodyless}`),
    ...hosts.map(
      (host) =>
        `GET /api/x HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-Host: ${trap}\r\nForwarded: host=${trap}\r\n${bodyless}`,
    ),
    `CONNECT ${trap} HTTP/1.1\r\nHost: ${trap}\r\n\r\n`,
    `GET /api/x HTTP/1.1\r\nHost: www.test\r\nHost: ${trap}\r\n${bodyless}`,
    `GET http://${METADATA}/latest/meta-data/ HTTP/1.0\r\n\r\n`,
    `GET /api/x HTTP/1.1\r\nHost: www.test\r\nUpgrade: ${trap}\r\nConnection: Upgrade\r\nAlt-Svc: h2="${trap}"\r\n\r\n`,
  ];
}

/** What streams are opened for. */
function hostileAuthorities(trapPort: number): string[] {
  return [
    'www.test',
    'www.test:443',
    'www.test:5432',
    `www.test:${trapPort}`,
    'www.test:22',
    `127.0.0.2:${trapPort}`,
    `localhost:${trapPort}`,
    `${METADATA}:80`,
    `${METADATA}:443`,
    `[::1]:${trapPort}`,
    `[::ffff:127.0.0.2]:${trapPort}`,
    `2130706434:${trapPort}`,
    `www.test@127.0.0.2:${trapPort}`,
    `www.test:5432@127.0.0.2:${trapPort}`,
    `unix:/run/x.sock`,
    `www.test:0`,
    `www.test:65536`,
  ];
}

const WAYS: readonly Way[] = ['https', 'tls', 'tcp', 'proxy', 'connect', 'library', 'peer'];

test('whatever a server sends, its agent connects to nothing but what its own files name', {
  skip: missingTools('strace'),
}, async () => {
  const trap = net.createServer((socket) => socket.destroy());
  const trapPort = await listenOn(trap, '127.0.0.2');
  let trapped = 0;
  trap.on('connection', () => {
    trapped += 1;
  });
  const target = http.createServer((_request, response) => response.end('ok'));
  const targetPort = await listenOn(target);
  const database = await startEchoTarget('db');
  const databasePort = 'port' in database.address ? database.address.port : assert.fail();
  const server = new FakeServer();
  await server.listen();
  const domain = {
    active: true,
    secret: 'a secret of enough bytes',
    remote: `127.0.0.1:${server.port}`,
    ca: testAuthority().certFile,
    connections: 1,
    targets: [
      { path: '^/api/', rewrite: '/', host: 'target', target: `http://127.0.0.1:${targetPort}` },
      { path: '^/', target: `http://127.0.0.1:${targetPort}` },
    ],
    ports: { '5432': `127.0.0.1:${databasePort}` },
  };
  const files = {
    'agent.json5': '{ log: { access: "console" } }',
    'domains/www.test.json5': JSON.stringify(domain),
  };
  try {
    await withFolder(files, async (folder) => {
      const log = join(folder, 'strace.log');
      // -D: the child is the agent, so that a signal reaches it; strace would keep signals to itself.
      const trace = ['-D', '-f', '-qq', '-e', 'trace=connect,sendto,sendmsg', '-o', log];
      const child = spawn(
        findTool('strace'),
        [...trace, process.execPath, MAIN, 'agent', '-c', join(folder, 'agent.json5')],
        {
          stdio: ['ignore', 'ignore', 'inherit'],
        },
      );
      const kill = () => child.kill('SIGKILL');
      process.once('exit', kill);
      try {
        await server.untilLive(1);
        const tunnel = server.tunnels[0] ?? assert.fail();
        let opened = 0;
        for (const way of WAYS) {
          for (const authority of hostileAuthorities(trapPort)) {
            const stream = await tunnel.open(authority, { way, transaction: 'x' }).catch(() => null);
            if (stream === null) continue;
            opened += 1;
            stream.on('error', () => {});
            stream.destroy(new Error('enough'));
          }
        }
        assert.ok(opened > 0);
        for (const request of hostileRequests(`127.0.0.2:${trapPort}`)) {
          const stream = await tunnel.open('www.test', { way: 'https', transaction: 'x' });
          await answerTo(stream, request);
        }
        assert.equal(trapped, 0);
        const allowed = new Set([server.port, targetPort, databasePort].map((port) => `127.0.0.1:${port}`));
        const seen = new Set(connectsIn(readFileSync(log, 'utf8')));
        // The log would be empty if nothing was traced.
        assert.deepEqual(
          [...allowed].filter((address) => !seen.has(address)),
          [],
        );
        assert.deepEqual(
          [...seen].filter((address) => !allowed.has(address)),
          [],
        );
      } finally {
        process.off('exit', kill);
        const ended = once(child, 'exit');
        if (child.exitCode === null && child.signalCode === null) {
          child.kill('SIGTERM');
          await within('the end of the agent', ended).catch(kill);
        }
      }
    });
  } finally {
    server.close();
    target.close();
    target.closeAllConnections();
    database.close();
    trap.close();
  }
});

/** Sends a request and waits for what comes of it, whatever that is; nothing need come of an upgrade. */
async function answerTo(stream: Duplex, request: string): Promise<void> {
  stream.on('error', () => {});
  stream.resume();
  stream.write(request);
  const closed = new Promise((resolve) => stream.once('close', resolve));
  await Promise.race([
    closed,
    once(stream, 'data').catch(() => {}),
    eventually('an answer', () => stream.readableEnded, 300).catch(() => {}),
  ]);
  stream.destroy(new Error('enough'));
}

/** Where the system calls of a trace lead to, sockets of the processes among themselves left out. */
function connectsIn(trace: string): string[] {
  return trace.split('\n').flatMap((line) => {
    const ipv4 = /sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)/.exec(line);
    if (ipv4 !== null) return [`${ipv4[2]}:${ipv4[1]}`];
    const ipv6 = /sin6_port=htons\((\d+)\).*inet_pton\(AF_INET6, "([^"]+)"/.exec(line);
    if (ipv6 !== null) return [`[${ipv6[2]}]:${ipv6[1]}`];
    const unix = /sa_family=AF_UNIX, sun_path=(\S+)\}/.exec(line);
    return unix === null ? [] : [`unix:${unix[1]}`];
  });
}
