import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import * as https from 'node:https';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { namesIn, recordsIn, recordsUnder } from '../support/log-files.ts';
import { startCli } from '../support/run-cli.ts';
import { streamReceiver } from '../support/syslog-receiver.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually } from '../support/within.ts';

/** A server whose `log` is this, its folder for logs, and a way to send it requests that nobody serves. */
async function withLoggingServer(
  log: string,
  action: (up: {
    readonly logs: string;
    readonly server: ReturnType<typeof startCli>;
    visit(count: number, path: string): Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const files = { 'server.json5': `{ listen: "127.0.0.1:0", log: ${log} }`, 'domains/a.test.json5': '{}' };
  await withFolder(files, async (folder) => {
    const logs = join(folder, 'logs');
    mkdirSync(logs);
    const server = startCli(['server', '-c', `${folder}/server.json5`]);
    const agent = new https.Agent({ keepAlive: true, maxSockets: 20, rejectUnauthorized: false });
    try {
      const [, port] = await server.see(/listening on 127\.0\.0\.1:(\d+) \(front door\)/);
      const one = async (path: string) => {
        const headers = { host: 'nobody.test' };
        const request = https.get({ host: '127.0.0.1', port, path, agent, headers, servername: 'nobody.test' });
        const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
        response.resume();
        await once(response, 'end');
        assert.equal(response.statusCode, 404);
      };
      const visit = async (count: number, path: string) => {
        await Promise.all(Array.from({ length: count }, (_, index) => one(`${path}${index}`)));
      };
      await action({ logs, server, visit });
    } finally {
      agent.destroy();
      server.child.kill('SIGKILL');
    }
  });
}

const LOST = '{ access: { file: "logs/access.log" }, disconnected: true }';

describe('log files of a server', () => {
  it('have a line of every request, through 100 rotations under load', () =>
    withLoggingServer(
      '{ access: { file: "logs/access.log", rotate: "7k", keep: 0 }, disconnected: true }',
      async ({ logs, server, visit }) => {
        for (let round = 0; round < 5; round += 1) await visit(500, `/${round}-`);
        assert.equal((await server.end('SIGTERM')).code, 0);
        assert.ok(namesIn(logs).length > 100, `${namesIn(logs).length} files`);
        // What the end of the process interrupted is made again by the next start.
        const names = namesIn(logs).filter((name) => !name.endsWith('.tmp'));
        assert.ok(names.some((name) => name.endsWith('.gz')));
        const paths = names
          .filter((name) => !names.includes(`${name}.gz`))
          .flatMap((name) => recordsIn(join(logs, name)).map(({ path }) => path));
        assert.equal(new Set(paths).size, 2_500);
        assert.equal(paths.length, 2_500);
        assert.doesNotMatch(server.output().stdout, /log-destination/);
      },
    ));

  it('are opened anew on SIGHUP', () =>
    withLoggingServer(
      '{ access: { file: "logs/access.log" }, system: ["console", { file: "logs/system.log" }], disconnected: true }',
      async ({ logs, server, visit }) => {
        await visit(5, '/before-');
        const file = join(logs, 'access.log');
        await eventually('written', () => namesIn(logs).includes('access.log') && recordsIn(file).length === 5);
        renameSync(file, `${file}.1`);
        server.child.kill('SIGHUP');
        await eventually('opened anew', () => {
          // There is no telling when a signal has arrived but by what it does.
          void visit(1, '/after-').catch(() => {});
          return namesIn(logs).includes('access.log');
        });
        assert.equal((await server.end('SIGTERM')).code, 0);
        assert.ok(recordsIn(`${file}.1`).length >= 5);
        assert.ok(recordsIn(file).every(({ path }) => path === '/after-0'));
        const said = recordsIn(join(logs, 'system.log')).map(({ msg }) => msg);
        assert.ok(said.includes('ended'), 'the last word is written too');
      },
    ));

  it('that broke keep nothing else from being followed, and take what waited once that is mended', () =>
    withLoggingServer(LOST, async ({ logs, server, visit }) => {
      await visit(1, '/before-');
      await eventually('written', () => namesIn(logs).includes('access.log'));
      renameSync(logs, `${logs}.gone`);
      const file = join(dirname(logs), 'server.json5');
      writeFileSync(file, `{ listen: "127.0.0.1:0", log: ${LOST}, unavailable: 410 }`);
      server.child.kill('SIGHUP');
      const [, said] = await server.see(/"setting":"log.access.file",.*"msg":"[^"]*(the folder .*)"/);
      assert.match(String(said), /^the folder .*logs does not exist; until that is mended its lines wait in memory/);
      await server.see(/configuration: unavailable changed/);
      await assert.rejects(visit(1, '/meanwhile-'), /410 !== 404/);
      mkdirSync(logs);
      server.child.kill('SIGHUP');
      await eventually('the line that waited', () => {
        return namesIn(logs).includes('access.log') && recordsIn(join(logs, 'access.log')).length > 0;
      });
      assert.equal((await server.end('SIGTERM')).code, 0);
      assert.deepEqual(
        recordsIn(join(logs, 'access.log')).map(({ path }) => path),
        ['/meanwhile-0'],
      );
      assert.doesNotMatch(server.output().stdout, /config-refused/);
    }));

  it('leave requests to domains that nobody serves out unless `disconnected` asks for them', () =>
    withLoggingServer('{ access: { file: "logs/access.log" } }', async ({ logs, server, visit }) => {
      await visit(5, '/');
      assert.equal((await server.end('SIGTERM')).code, 0);
      assert.deepEqual(recordsUnder(logs), []);
    }));

  it('may be on another machine: syslog over TCP has the same records', async () => {
    const receiver = await streamReceiver({ port: 0 });
    try {
      await withLoggingServer(
        `{ access: { syslog: "tcp://127.0.0.1:${receiver.port}", facility: "local0" }, disconnected: true }`,
        async ({ server, visit }) => {
          await visit(50, '/');
          assert.equal((await server.end('SIGTERM')).code, 0);
          await receiver.got(50);
          assert.equal(new Set(receiver.records().map(({ path }) => path)).size, 50);
          assert.equal(receiver.messages()[0]?.facility, 16);
        },
      );
    } finally {
      await receiver.close();
    }
  });
});
