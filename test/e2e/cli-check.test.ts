import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runCli } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';

const DOMAIN = '{ active: true, secret: "a secret of a test, long enough" }';

describe('backdial check', () => {
  it('finds nothing wrong with conf/', async () => {
    for (const [file, kind] of [
      ['conf/server.json5', 'a server'],
      ['conf/agent/agent.json5', 'an agent'],
    ] as const) {
      const { code, stdout } = await runCli(['check', '-c', file]);
      assert.equal(code, 0);
      assert.equal(stdout, `${file}: ${kind} with 0 active domains, 1 inactive: no problem\n`);
    }
  });

  it('prints every problem of every file with its place, relative as the file was given, and exits 1', async () => {
    const files = {
      'server.json5': '{\n  listen: 443,\n  drian: "1s",\n}',
      'domains/a.json5': '{ active: 1 }',
      'domains/b.json5': DOMAIN,
    };
    await withFolder(files, async (cwd) => {
      const { code, stdout, stderr } = await runCli(['check', '-c', 'server.json5'], { cwd });
      assert.equal(code, 1);
      assert.equal(stdout, '');
      const lines = stderr.trimEnd().split('\n');
      assert.match(lines[0] ?? '', /^server\.json5:3:3: drian: unknown key; did you mean `drain`\?; allowed: listen, /);
      assert.equal(lines[1], 'domains/a.json5:1:11: active: found 1; allowed: true or false');
      assert.equal(lines[2], 'backdial: the configuration is invalid: server.json5: 2 problems');
      assert.equal(lines.length, 3);
    });
  });

  it('prints warnings and exits 0', async () => {
    await withFolder(
      { 'x.json5': '{ listen: 443 }', 'domains/a.json5': '{ active: true, secret: "short" }' },
      async (cwd) => {
        const { code, stdout, stderr } = await runCli(['check', '--config', 'x.json5'], { cwd });
        assert.equal(code, 0);
        assert.equal(stdout, 'x.json5: a server with 1 active domain: no problem\n');
        assert.equal(
          stderr,
          'domains/a.json5:1:25: secret: warning: the secret is short; 16 bytes or more are advised\n',
        );
      },
    );
  });

  it('judges a file as that of the kind that is asked for', async () => {
    await withFolder({ 'x.json5': '{}', 'domains/a.json5': DOMAIN }, async (cwd) => {
      assert.equal((await runCli(['check', '-c', 'x.json5', '--kind', 'server'], { cwd })).code, 0);
      const asAgent = await runCli(['check', '-c', 'x.json5', '--kind', 'agent'], { cwd });
      assert.equal(asAgent.code, 1);
      assert.match(asAgent.stderr, /^domains\/a\.json5:1:1: targets: found nothing/);
      assert.equal((await runCli(['check', '-c', 'x.json5', '--kind', 'other'], { cwd })).code, 2);
      assert.equal((await runCli(['check'], { cwd })).code, 2);
    });
  });

  it('looks at every file that is given, after one that is invalid too', async () => {
    const files = {
      'a.json5': '{ listen: 443, drian: 1 }',
      'b/agent.json5': '{}',
      'b/domains/.keep': '',
      'domains/.keep': '',
      'c.json5': '{ listen: 443 }',
    };
    await withFolder(files, async (cwd) => {
      const both = await runCli(['check', '-c', 'b/agent.json5', '--config', 'c.json5'], { cwd });
      assert.equal(both.code, 0, both.stderr);
      assert.match(both.stdout, /^b\/agent\.json5: an agent .*: no problem\nc\.json5: a server .*: no problem\n$/);

      const all = ['-c', 'a.json5', '-c', 'missing', '-c', 'c.json5'];
      const { code, stdout, stderr } = await runCli(['check', ...all], { cwd });
      assert.equal(code, 1);
      assert.match(stdout, /^c\.json5: a server with 0 active domains: no problem\n$/);
      const lines = stderr
        .trimEnd()
        .split('\n')
        .filter((line) => !line.includes(': warning: '));
      assert.match(lines[0] ?? '', /^a\.json5:1:16: drian: unknown key/);
      assert.equal(lines[1], 'backdial: the configuration is invalid: a.json5: one problem');
      assert.match(lines[2] ?? '', /^missing:1:1: the file does not exist/);
      assert.equal(lines[3], 'backdial: the configuration is invalid: missing: one problem');
      assert.equal(lines[4], 'backdial: the configuration is invalid: 2 of 3 files');
      assert.equal(lines.length, 5);
    });
  });

  it('cannot be made to write to the terminal by what is in a file', async () => {
    await withFolder(
      { 'x.json5': '{ "\\u001b[31m": 1, listen: "\\u001b[2J\\n" }', 'domains/.keep': '' },
      async (cwd) => {
        const { stderr } = await runCli(['check', '-c', 'x.json5'], { cwd });
        assert.ok(!stderr.includes('\u001b'));
        assert.equal(stderr.trimEnd().split('\n').length, 3);
      },
    );
  });
});
