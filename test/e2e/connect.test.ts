import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import * as http from 'node:http';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { testAuthority } from '../support/certificates.ts';
import { ConnectProxy } from '../support/connect-proxy.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { withPostgres } from '../support/postgres.ts';
import { CI, CI_SECRET, type ProxyKit, withProxy } from '../support/proxy-kit.ts';
import { runTool, type ToolResult } from '../support/real-program.ts';
import { MAIN, startCli } from '../support/run-cli.ts';
import { connectWire } from '../support/sockets.ts';
import { withSshd } from '../support/sshd.ts';
import { missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually, within } from '../support/within.ts';

const ENV = { BACKDIAL_SECRET: CI_SECRET.reveal() };

const flagsOf = ({ port }: ProxyKit) => [
  '--server',
  `localhost:${port}`,
  '--ca',
  testAuthority().certFile,
  '--identity',
  'ci',
];

/** `backdial connect` on standard input and output. */
function onStdio(args: readonly string[], input: string, more: Record<string, string> = {}): Promise<ToolResult> {
  return new Promise((resolve) => {
    const options = { timeout: 60_000, env: { PATH: process.env.PATH, ...ENV, ...more } };
    const child = execFile(process.execPath, [MAIN, 'connect', ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

describe('backdial connect', () => {
  test('joins standard input and output, the banner and half-close included', () =>
    withProxy({}, async (kit) => {
      const [plain, one] = await Promise.all([
        onStdio(['www.test:22', ...flagsOf(kit)], 'hello'),
        onStdio(['one.www.test:23', ...flagsOf(kit)], ''),
      ]);
      assert.deepEqual([plain.code, plain.stdout, plain.stderr], [0, 'port 22 hello', '']);
      assert.deepEqual([one.code, one.stdout, one.stderr], [0, 'port 23 ', '']);
      const [first] = await kit.events.until('access', 2);
      assert.deepEqual([first?.record.way, first?.record.reason], ['connect', 'done']);
    }));

  test('says with exit code 4 what a refusal can mean, and where the reason is told', () =>
    withProxy({}, async (kit) => {
      const [secret, grant, name] = await Promise.all([
        onStdio(['www.test:22', ...flagsOf(kit), '--identity', 'nobody'], ''),
        onStdio(['other.test:22', ...flagsOf(kit)], ''),
        onStdio(['unserved.test:22', ...flagsOf(kit)], ''),
      ]);
      for (const { code, stdout, stderr } of [secret, grant]) {
        assert.deepEqual([code, stdout], [4, '']);
        assert.match(stderr, /tells the reason to its own log only.*secret is wrong.*no grant of `connect` allows/s);
      }
      assert.equal(name.code, 4);
      assert.match(
        name.stderr,
        /unserved\.test:22 leads nowhere.*no agent serves it now.*does not accept connections/s,
      );
    }));

  test('says what is wrong with its arguments', async () => {
    const bad = [
      [['a b', '--server', 'x', '--identity', 'ci'], 1, /the name "a b"; allowed: a host name, with or without :PORT/],
      [['a.b:0', '--server', 'x', '--identity', 'ci'], 1, /the name "a\.b:0"/],
      [['a.b', '--server', 'x'], 2, /--identity is missing/],
      [['a.b', '--identity', 'ci'], 2, /--server is missing/],
      [
        ['a.b', '--server', 'x', '--identity', 'ci', '--listen', 'x y'],
        1,
        /--listen "x y"; allowed: PORT, HOST:PORT or unix/,
      ],
    ] as const;
    const results = await Promise.all(bad.map(([args]) => onStdio(args, '')));
    for (const [index, [, code, said]] of bad.entries()) {
      assert.equal(results[index]?.code, code);
      assert.match(results[index]?.stderr ?? '', said);
    }
  });

  test('listens, takes several at once, passes half-close, and goes on after its server was away', () =>
    withProxy({}, async (kit) => {
      const cli = startCli(['connect', 'www.test:22', '--listen', '127.0.0.1:0', ...flagsOf(kit)], { env: ENV });
      try {
        const [, port] = await cli.see(/127\.0\.0\.1:(\d+) leads to www\.test:22 through localhost/, 'stderr');
        const said = async (text: string) => {
          const { stream } = await connectWire(Number(port));
          let got = '';
          stream.on('data', (chunk) => {
            got += chunk;
          });
          stream.end(text);
          await within('the end', new Promise((resolve) => stream.once('close', resolve)));
          return got;
        };
        const texts = ['a', 'b', 'c', 'd'];
        assert.deepEqual(
          await Promise.all(texts.map(said)),
          texts.map((text) => `port 22 ${text}`),
        );
        // Its identity is gone for a while: refused connections are reset, later ones are not.
        await kit.apply({ grants: [] });
        assert.equal(await said('x'), '');
        await cli.see(/did not open the connection/, 'stderr');
        await kit.apply({ grants: [CI] });
        assert.equal(await said('again'), 'port 22 again');
      } finally {
        assert.equal((await cli.end('SIGTERM')).code, 0);
      }
    }));

  test('goes through HTTPS_PROXY, except for servers that NO_PROXY names', () =>
    withProxy({}, async (kit) => {
      const between = new ConnectProxy();
      const HTTPS_PROXY = `http://127.0.0.1:${await between.listen()}`;
      try {
        const through = await onStdio(['www.test:22', ...flagsOf(kit)], 'a', { HTTPS_PROXY });
        const past = await onStdio(['www.test:22', ...flagsOf(kit)], 'b', { HTTPS_PROXY, NO_PROXY: 'localhost' });
        assert.deepEqual([through.stdout, past.stdout], ['port 22 a', 'port 22 b'], through.stderr + past.stderr);
        assert.deepEqual(between.asked, [`localhost:${kit.port}`]);
      } finally {
        between.close();
      }
    }));

  test('leaves nothing behind where its user gives up', () =>
    withProxy({}, async (kit) => {
      const cli = startCli(['connect', 'www.test:22', '--listen', '127.0.0.1:0', ...flagsOf(kit)], { env: ENV });
      try {
        const [, port] = await cli.see(/127\.0\.0\.1:(\d+) leads to/, 'stderr');
        for (let i = 0; i < 20; i += 1) (await connectWire(Number(port))).raw.resetAndDestroy();
        const streams = () => kit.server.tunnels().reduce((sum, tunnel) => sum + tunnel.stats().streams, 0);
        await eventually('no stream is left', () => streams() === 0);
        const { stream } = await connectWire(Number(port));
        stream.write('alive');
        await within('an answer', new Promise((resolve) => stream.once('data', resolve)));
        stream.destroy();
        await eventually('no stream is left', () => streams() === 0);
      } finally {
        await cli.end('SIGKILL');
      }
    }));

  test('carries ssh as its ProxyCommand', { skip: missingTools('sshd', 'ssh', 'ssh-keygen') }, () =>
    withSshd(({ port, flags, user }) =>
      withProxy(
        {},
        async (kit) =>
          withFolder({ secret: CI_SECRET.reveal() }, async (folder) => {
            const command = [
              process.execPath,
              MAIN,
              'connect',
              '%h:%p',
              ...flagsOf(kit),
              '--secret-file',
              join(folder, 'secret'),
            ];
            const where = ['-o', `ProxyCommand=${command.join(' ')}`, '-p', '22', `${user}@www.test`];
            const input = 'through the proxy '.repeat(10_000);
            const { code, stdout, stderr } = await runTool('ssh', [...flags, ...where, 'cat; exit 7'], input);
            assert.equal(stdout, input, stderr);
            assert.equal(code, 7);
          }),
        { ports: { 22: { kind: 'tcp', host: '127.0.0.1', port } } },
      ),
    ),
  );

  test('carries psql through its listener', { skip: missingTools('psql', 'initdb', 'postgres', 'setpriv') }, () =>
    withPostgres((port) =>
      withProxy(
        {},
        async (kit) => {
          const cli = startCli(['connect', 'www.test:5432', '--listen', '127.0.0.1:0', ...flagsOf(kit)], { env: ENV });
          try {
            const [, local] = await cli.see(/127\.0\.0\.1:(\d+) leads to www\.test:5432/, 'stderr');
            const psql = (...args: string[]) =>
              runTool('psql', [`host=127.0.0.1 port=${local} user=tester dbname=postgres`, '-XAtq', ...args]);
            const rows = await psql('-c', "select i, repeat('x', 90) from generate_series(1, 50000) i");
            const expected = Array.from({ length: 50_000 }, (_, i) => `${i + 1}|${'x'.repeat(90)}\n`).join('');
            assert.equal(rows.stderr, '');
            assert.ok(rows.stdout === expected, `${rows.stdout.length} of ${expected.length} bytes, or others`);
            // What a server says before it ends a session arrives.
            const end = await psql('-c', 'select pg_terminate_backend(pg_backend_pid())');
            assert.match(end.stderr, /terminating connection due to administrator command/);
            assert.notEqual(end.code, 0);
          } finally {
            await cli.end('SIGTERM');
          }
        },
        { ports: { 5432: { kind: 'tcp', host: '127.0.0.1', port } } },
      ),
    ),
  );

  test(
    'curl asks through the proxy, in the clear and over TLS, by absolute-form and by CONNECT',
    {
      skip: missingTools('curl'),
    },
    () =>
      withProxy({}, async (kit) => {
        const door = `https://ci:${encodeURIComponent(CI_SECRET.reveal())}@localhost:${kit.port}`;
        for (const proxy of [`http://127.0.0.1:${kit.proxyPort}`, door]) {
          for (const way of [[], ['--proxytunnel']]) {
            const flags = [
              '-sS',
              '--max-time',
              '60',
              '--proxy',
              proxy,
              '--proxy-cacert',
              testAuthority().certFile,
              ...way,
            ];
            const { stdout, stderr } = await runTool('curl', [...flags, '-d', 'x=y', 'http://one.www.test/a?b']);
            assert.equal(stdout, 'POST /a?b one.www.test [x=y]', `${proxy} ${way}: ${stderr}`);
          }
        }
        const unknown = ['-s', '--proxy', `http://127.0.0.1:${kit.proxyPort}`, '-o', '/dev/null', '-w', '%{http_code}'];
        assert.equal((await runTool('curl', [...unknown, 'http://nobody.test/'])).stdout, '502');
      }),
  );

  test('git clones through the proxy, by absolute-form and at the front door', { skip: missingTools('git') }, () =>
    withFolder({}, async (folder) => {
      const git = async (...args: string[]) => {
        const done = await runTool('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args]);
        assert.equal(done.code, 0, done.stderr);
      };
      const [work, bare] = [join(folder, 'work'), join(folder, 'repo.git')];
      await mkdir(work);
      await git('init', '-q', work);
      await writeFile(join(work, 'file'), 'its content\n');
      await git('-C', work, 'add', '.');
      await git('-C', work, 'commit', '-q', '-m', 'first');
      await git('clone', '-q', '--bare', work, bare);
      await git('-C', bare, 'update-server-info');
      const server = http.createServer(async (request, response) => {
        const path = join(folder, new URL(request.url ?? '/', 'http://x').pathname);
        const content = await readFile(path).catch(() => null);
        response.writeHead(content === null ? 404 : 200);
        response.end(content ?? undefined);
      });
      const close = closerOf(server);
      const target = { kind: 'tcp', host: '127.0.0.1', port: await listenOn(server) } as const;
      try {
        await withProxy(
          {},
          async (kit) => {
            const door = `https://ci:${encodeURIComponent(CI_SECRET.reveal())}@localhost:${kit.port}`;
            for (const [index, proxy] of [`http://127.0.0.1:${kit.proxyPort}`, door].entries()) {
              const to = join(folder, `clone${index}`);
              // Unasked, for the front door asks nobody: it would show that there is a proxy.
              const login = ['-c', 'http.proxyAuthMethod=basic'];
              const trust = ['-c', `http.proxySSLCAInfo=${testAuthority().certFile}`, ...login];
              await git('-c', `http.proxy=${proxy}`, ...trust, 'clone', '-q', 'http://www.test/repo.git', to);
              assert.equal(await readFile(join(to, 'file'), 'utf8'), 'its content\n');
            }
          },
          { target },
        );
      } finally {
        await close();
      }
    }),
  );
});
