import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import * as http from 'node:http';
import * as net from 'node:net';
import { describe, it } from 'node:test';
import { visit } from '../support/curl.ts';
import { listenOn } from '../support/listen-on.ts';
import { type RunningCli, startCli } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';

const SECRET = 'the-secret-of-these-tests';
const DOMAIN = 'www.example.com';

/** A server on a port of its own with one active domain; no certificate. */
const FILES = {
  'server.json5': '{ listen: "127.0.0.1:0", log: { access: "console" } }',
  [`domains/${DOMAIN}.json5`]: `{ active: true, secret: "${SECRET}", listen: "127.0.0.1:0" }`,
  secret: `${SECRET}\n`,
};

/** What a server says when it is up. */
interface Up {
  readonly server: RunningCli;
  readonly port: number;
  readonly tcpPort: number;
  readonly pin: string;
}

async function startServer(folder: string, stack: AsyncDisposableStack, ...flags: string[]): Promise<Up> {
  const server = startCli(['server', '-c', `${folder}/server.json5`, ...flags]);
  stack.defer(() => void server.child.kill('SIGKILL'));
  const [, pin = ''] = await server.see(/--pin (sha256\/[\w+/]{43}=)/);
  const [, port] = await server.see(/listening on 127\.0\.0\.1:(\d+) \(front door\)/);
  const [, tcpPort] = await server.see(/listening on 127\.0\.0\.1:(\d+) \(TCP of www\.example\.com\)/);
  await server.see(/ready; active domains: 1/);
  return { server, pin, port: Number(port), tcpPort: Number(tcpPort) };
}

/** JSON lines of a log, those of one event or of the access log. */
function records(running: RunningCli, select: (record: Record<string, unknown>) => boolean) {
  const lines = running.output().stdout.trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(select);
}

function startTarget(): http.Server {
  return http.createServer((request, response) => response.end(`you asked for ${request.url}`));
}

describe('server and http, from outside', () => {
  it('serve visitors, with nothing but address, pin and secret; both log the request, neither the secret', async () => {
    await using stack = new AsyncDisposableStack();
    const target = startTarget();
    stack.defer(() => void target.close());
    const targetPort = await listenOn(target);
    await withFolder(FILES, async (folder) => {
      const up = await startServer(folder, stack, '-vvv');
      const agent = startCli(['http', String(targetPort), '-vvv'], {
        env: {
          BACKDIAL_SERVER: `127.0.0.1:${up.port}`,
          BACKDIAL_DOMAIN: DOMAIN,
          BACKDIAL_SECRET_FILE: `${folder}/secret`,
          BACKDIAL_PIN: up.pin,
          BACKDIAL_INSTANCE: 'box',
        },
      });
      try {
        await agent.see(/"event":"tunnel-opened"/);
        const answer = await visit(DOMAIN, up.port, '/a?b=c', ['--insecure']);
        assert.equal(answer, 'you asked for /a?b=c');
        await up.server.see(/"path":"\/a\?b=c"/);
        await agent.see(/"path":"\/a\?b=c"/);
        for (const side of [up.server, agent]) {
          const [record] = records(side, ({ path }) => path === '/a?b=c');
          assert.deepEqual(
            [
              record?.domain,
              record?.instance,
              record?.method,
              record?.status,
              record?.reason,
              record?.way,
              record?.out,
            ],
            [DOMAIN, 'box', 'GET', 200, 'done', 'https', answer.length],
          );
        }
        assert.equal((await agent.end('SIGTERM')).code, 0);
        assert.equal((await up.server.end('SIGTERM')).code, 0);
        for (const { stdout, stderr } of [agent.output(), up.server.output()]) {
          assert.ok(!`${stdout}${stderr}`.includes(SECRET));
        }
      } finally {
        agent.child.kill('SIGKILL');
      }
    });
  });

  it('come together again after the server was away: once it was up, a quick agent never gives up', async () => {
    await using stack = new AsyncDisposableStack();
    const target = startTarget();
    stack.defer(() => void target.close());
    const targetPort = await listenOn(target);
    await withFolder(FILES, async (folder) => {
      let up = await startServer(folder, stack);
      const { port, pin } = up;
      const more = [
        '--server',
        `127.0.0.1:${port}`,
        '--domain',
        DOMAIN,
        '--pin',
        pin,
        '--secret-file',
        `${folder}/secret`,
      ];
      const agent = startCli(['http', String(targetPort), ...more]);
      try {
        await agent.see(/"event":"tunnel-opened"/);
        await up.server.end('SIGKILL');
        await agent.see(/"level":"error","time":\d+,"event":"tunnel-closed"/);
        await agent.see(/"event":"dial-failed".*"retryInMs":[1-9]/);
        await writeFile(`${folder}/server.json5`, `{ listen: "127.0.0.1:${port}" }`);
        up = await startServer(folder, stack);
        assert.equal(up.pin, pin, 'the pin outlives a restart');
        const opened = records(agent, ({ event }) => event === 'tunnel-opened').length;
        await agent.see(new RegExp(`("event":"tunnel-opened"[^]*){${opened + 1}}`));
        assert.equal(await visit(DOMAIN, port, '/back', ['--insecure']), 'you asked for /back');
      } finally {
        agent.child.kill('SIGKILL');
      }
    });
  });
});

describe('server and agent, from files', () => {
  it('serve a TCP port; a signal drains, a second one cuts at once and says so; SIGHUP ends nothing', async () => {
    await using stack = new AsyncDisposableStack();
    const target = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.write('hello first\n');
    });
    stack.defer(() => void target.close());
    const targetPort = await listenOn(target);
    await withFolder(FILES, async (folder) => {
      const up = await startServer(folder, stack);
      const files = {
        'agent.json5': '{}',
        [`domains/${DOMAIN}.json5`]: `{ active: true, secret: "${SECRET}", remote: "127.0.0.1:${up.port}", pin: "${up.pin}",
                                        targets: { target: ${targetPort} } }`,
      };
      await withFolder(files, async (agentFolder) => {
        const agent = startCli(['agent', '-c', `${agentFolder}/agent.json5`]);
        try {
          await agent.see(/ready; domains served: 1/);
          const open = net.connect(up.tcpPort, '127.0.0.1');
          const end = new Promise<string>((resolve) => {
            open.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
            open.once('end', () => resolve('a clean end'));
          });
          const [first] = await once(open, 'data');
          assert.equal(String(first), 'hello first\n');
          up.server.child.kill('SIGHUP');
          agent.child.kill('SIGHUP');
          up.server.child.kill('SIGTERM');
          await up.server.see(/draining/);
          assert.equal(up.server.child.exitCode, null, 'an open stream is waited for');
          const began = performance.now();
          assert.equal((await up.server.end('SIGINT')).code, 0);
          assert.ok(performance.now() - began < 20_000);
          assert.equal(await end, 'ECONNRESET', 'what was cut never looks complete');
          assert.equal((await agent.end('SIGINT')).code, 0);
        } finally {
          agent.child.kill('SIGKILL');
        }
      });
    });
  });
});
