import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testAuthority } from '../support/certificates.ts';
import { runCli } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';
import { withServer } from '../support/with-server.ts';

const SECRET = 'a secret of enough bytes';

interface Report {
  readonly ok: boolean;
  readonly findings: ReadonlyArray<{ readonly place: string; readonly step: string; readonly result: string }>;
}

describe('backdial doctor', () => {
  it('looks at every domain of an agent with its servers and targets, and ends with 0 or 1', async () => {
    await withServer({}, async ({ port }) => {
      const domain = (target: string) =>
        JSON.stringify({
          active: true,
          secret: SECRET,
          remote: `127.0.0.1:${port}`,
          ca: '../ca.pem',
          targets: { target },
        });
      const files = {
        'agent.json5': '{}',
        'ca.pem': testAuthority().cert,
        'domains/www.test.json5': domain(`tcp://127.0.0.1:${port}`),
      };
      await withFolder(files, async (folder) => {
        const good = await runCli(['doctor', '-c', `${folder}/agent.json5`]);
        assert.equal(good.code, 0, good.stdout + good.stderr);
        assert.match(good.stdout, /^ {2}ok {4}secret {7}www\.test: accepted$/m);
        assert.match(good.stdout, /^nothing is wrong/m);
      });
      const more = { ...files, 'domains/other.test.json5': domain('unix:/nonexistent/app.sock') };
      await withFolder(more, async (folder) => {
        const bad = await runCli(['doctor', '-c', `${folder}/agent.json5`, '--json']);
        assert.equal(bad.code, 1, bad.stdout + bad.stderr);
        const { ok, findings } = JSON.parse(bad.stdout) as Report;
        assert.equal(ok, false);
        const failed = findings
          .filter(({ result }) => result === 'failed')
          .map(({ place, step }) => `${place} ${step}`);
        assert.deepEqual(failed, [`127.0.0.1:${port} secret`, 'other.test target']);
        assert.ok(!bad.stdout.includes(SECRET));
      });
    });
  });

  it('takes what it needs from the environment, and says what is missing', async () => {
    await withServer({}, async ({ port }) => {
      const env = { BACKDIAL_SERVER: `127.0.0.1:${port}`, BACKDIAL_DOMAIN: 'www.test', BACKDIAL_SECRET: SECRET };
      const { code, stdout } = await runCli(['doctor', '--ca', testAuthority().certFile], { env });
      assert.equal(code, 0, stdout);
    });
    const nothing = await runCli(['doctor']);
    assert.equal(nothing.code, 2);
    assert.match(nothing.stderr, /--server is missing/);
    assert.equal((await runCli(['doctor', '-c', 'a.json5', '--server', 'b'])).code, 2);
  });

  it("refuses a server's file, and names every problem of an agent's", async () => {
    await withFolder({ 'server.json5': '{ listen: "127.0.0.1:0" }', 'agent.json5': '{ lisen: 1 }' }, async (folder) => {
      const server = await runCli(['doctor', '-c', `${folder}/server.json5`]);
      assert.equal(server.code, 1);
      assert.match(server.stderr, /is a server's; .*`backdial check -c/);
      const agent = await runCli(['doctor', '-c', `${folder}/agent.json5`]);
      assert.equal(agent.code, 1);
      assert.match(agent.stderr, /agent\.json5:1:3: lisen: unknown key/);
    });
  });
});
