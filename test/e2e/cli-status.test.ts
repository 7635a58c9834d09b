import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type ConfigDeployment, withConfigDeployment } from '../support/config-deployment.ts';
import { startHttpTarget } from '../support/http-target.ts';
import { assertOneLine, runCli, startCli } from '../support/run-cli.ts';
import { steadyPort } from '../support/steady-port.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually } from '../support/within.ts';

const TOKEN = 'a token of a test, long enough';

async function withStatus(body: (deployment: ConfigDeployment, url: string, file: string) => Promise<void>) {
  const target = await startHttpTarget();
  try {
    await withConfigDeployment(target.port, async (deployment) => {
      const port = await steadyPort();
      const admin = { listen: `127.0.0.1:${port}`, token: '@admin.token' };
      deployment.write('server/admin.token', `${TOKEN}\n`);
      const beside = { active: true, target: `http://127.0.0.1:${target.port}` };
      deployment.write('server/domains/beside.test.json5', JSON.stringify(beside));
      const unserved = { active: true, secret: 'a secret that nobody has' };
      deployment.write('server/domains/unserved.test.json5', JSON.stringify(unserved));
      deployment.write('server/domains/off.test.json5', '{}');
      deployment.write('agent/domains/idle.test.json5', '{}');
      await deployment.change('server/server.json5', deployment.serverFile({ admin }));
      await deployment.change('agent/agent.json5', { log: { level: 'debug' }, api: { listen: 'unix:api.sock' } });
      await body(deployment, `http://127.0.0.1:${port}`, join(deployment.folder, 'server/server.json5'));
    });
  } finally {
    await target.close();
  }
}

describe('backdial status and drain', () => {
  it('show the server and the agent that run, once or live, ask a tunnel to leave, and say by an exit code whether it serves', () =>
    withStatus(async ({ folder, server, events }, url, file) => {
      const table = await runCli(['status', '-c', file]);
      assert.equal(table.code, 0, table.stderr);
      assert.match(
        table.stdout,
        /^server \S+, \d+\.\d+\.\d+: serving, up \d+ s; domains served: 2 of 3 \(and 1 inactive\), tunnels: 2, /,
      );
      assert.match(
        table.stdout,
        /^DOMAIN +INSTANCES +TUNNELS +UNDER WAY +STATE\nwww\.example\.com +one +2 +- +served$/m,
      );
      assert.match(table.stdout, /^beside\.test +- +0 +- +by its target$/m);
      assert.match(table.stdout, /^unserved\.test +- +0 +- +nobody serves it$/m);
      assert.match(table.stdout, /^off\.test +- +- +- +inactive$/m);
      const [, id = ''] = /^(t\d+) +www\.example\.com +one\/\d +127\.0\.0\.1:\d+ /m.exec(table.stdout) ?? [];
      assert.ok(id !== '', table.stdout);

      const agent = await runCli(['status', '--url', `unix:${join(folder, 'agent/api.sock')}`]);
      assert.match(agent.stdout, /^www\.example\.com +one +2 of 2 +up$/m);
      assert.match(agent.stdout, /^idle\.test +- +- +- +inactive$/m);

      const json = await runCli(['status', '--json', '--url', url], { env: { BACKDIAL_TOKEN: TOKEN } });
      const report = JSON.parse(json.stdout) as {
        readonly summary: { readonly kind: string; readonly tunnels: number; readonly inactive: number };
        readonly inactive: readonly string[];
        readonly tunnels: readonly unknown[];
      };
      assert.deepEqual([report.summary.kind, report.summary.tunnels, report.tunnels.length], ['server', 2, 2]);
      assert.deepEqual([report.summary.inactive, report.inactive], [1, ['off.test']]);

      const drained = await runCli(['drain', id, '-c', file]);
      assert.deepEqual(
        [drained.code, drained.stdout],
        [0, `${id} was asked to leave; its agent dials anew, its streams have \`drain\` left\n`],
      );
      await eventually('the tunnel has left', () => events(server, 'tunnel-closed').length === 1);
      const again = await runCli(['drain', id, '-c', file]);
      assert.equal(again.code, 1);
      assert.match(again.stderr, new RegExp(`no live tunnel has the id "${id}"`));
      assertOneLine(again);

      const ofAgent = await runCli(['drain', id, '-c', join(folder, 'agent/agent.json5')]);
      assert.equal(ofAgent.code, 1);
      assert.match(ofAgent.stderr, /api\.sock is an agent's: only a server asks tunnels to leave/);

      const watching = startCli(['status', '--watch', '-c', file]);
      await watching.see(/(server \S+, .*[\s\S]*){3}/);
      assert.equal((await watching.end('SIGTERM')).signal, 'SIGTERM');

      const good = await runCli(['status', '--health', '-c', file]);
      assert.deepEqual([good.code, good.stdout], [0, 'OK\n']);
      const cases: readonly (readonly [args: string[], env: Record<string, string>, text: RegExp])[] = [
        [
          ['--url', url],
          {},
          /token is missing or wrong: 127\.0\.0\.1:\d+; none was sent: name the file with -c, or set/,
        ],
        [['--url', url], { BACKDIAL_TOKEN: 'another' }, /another one was sent: mend BACKDIAL_TOKEN/],
        [['--url', 'http://127.0.0.1:1'], {}, /nothing listens at 127\.0\.0\.1:1/],
      ];
      for (const [args, env, text] of cases) {
        const result = await runCli(['status', '--health', ...args], { env });
        assert.equal(result.code, 1);
        assert.match(result.stderr, text);
        assertOneLine(result);
      }
      await server.end('SIGTERM');
      assert.equal((await runCli(['status', '--health', '-c', file])).code, 1);
    }));

  it('say what to do where there is nobody to ask', () =>
    withFolder(
      {
        'server.json5': '{ listen: 443 }',
        'agent.json5': '{ connectTimeout: "1s" }',
        'bad.json5': '{ listen: 1, admin: 7 }',
      },
      async (folder) => {
        const cases: readonly (readonly [args: string[], code: number, text: RegExp])[] = [
          [
            ['-c', `${folder}/server.json5`],
            1,
            /server\.json5 has no `admin`, so nobody can be asked; add `admin: \{ listen/,
          ],
          [
            ['-c', `${folder}/agent.json5`],
            1,
            /agent\.json5 has no `api`, so nobody can be asked; add `api: \{ listen/,
          ],
          [['-c', `${folder}/bad.json5`], 1, /bad\.json5:1:21: admin: found 7; allowed: an object/],
          [['-c', `${folder}/none.json5`], 1, /none\.json5:1:1: the file does not exist/],
          [['--url', 'https://x'], 1, /--url "https:\/\/x"; allowed: http:\/\/host:port or unix:\/path/],
          [['--url', 'x:1', '-c', 'y'], 2, /mutually exclusive/],
          [['--health', '--json', '--url', 'x:1'], 2, /mutually exclusive/],
        ];
        for (const [args, code, text] of cases) {
          const result = await runCli(['status', ...args]);
          assert.equal(result.code, code, result.stderr);
          assert.match(result.stderr, text);
        }
      },
    ));
});
