import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { describe, it } from 'node:test';
import { keepSelfSigned } from '../../src/cli/self-signed.ts';
import { runCli } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';

describe('backdial domain add', () => {
  it("writes a file that the server takes, and prints the agent's line with the server's pin", async () => {
    await withFolder({ 'server.json5': '{ listen: ["127.0.0.1:8443"] }' }, async (cwd) => {
      const { pin } = await keepSelfSigned(`${cwd}/state`, ['localhost']);
      const { code, stdout, stderr } = await runCli(['domain', 'add', 'Faß.de', '-c', 'server.json5'], { cwd });
      assert.equal(code, 0, stderr);
      const file = `${cwd}/domains/xn--fa-hia.de.json5`;
      assert.equal(statSync(file).mode & 0o777, 0o600);
      const secret = /^BACKDIAL_SECRET=(\S{32}) /.exec(stdout)?.[1] ?? assert.fail(stdout);
      assert.ok(readFileSync(file, 'utf8').includes(`secret: "${secret}"`));
      assert.equal(
        stdout,
        `BACKDIAL_SECRET=${secret} backdial http 3000 --server xn--fa-hia.de:8443 --domain xn--fa-hia.de --pin ${pin}\n`,
      );
      assert.match(stderr, /^wrote domains\/xn--fa-hia\.de\.json5; /);
      const checked = await runCli(['check', '-c', 'server.json5'], { cwd });
      assert.equal(checked.stdout, 'server.json5: a server with 1 active domain: no problem\n');
      assert.equal(checked.stderr, '');
    });
  });

  it('writes nothing over a domain that is there, and nothing for a name or a server that is none', async () => {
    await withFolder({ 'server.json5': '{ domains: "d" }', 'd/a.example.json': 'mine' }, async (cwd) => {
      const add = (...args: string[]) => runCli(['domain', 'add', ...args, '-c', 'server.json5'], { cwd });
      const taken = await add('a.example');
      assert.deepEqual([taken.code, taken.stdout], [1, '']);
      assert.match(taken.stderr, /d\/a\.example\.json has this domain already/);
      assert.equal((await add('a_b.example')).code, 1);
      assert.equal((await add('b.example', '--server', 'http://x')).code, 1);
      assert.equal((await runCli(['domain', 'add', 'b.example', '-c', 'missing.json5'], { cwd })).code, 1);
      assert.equal((await runCli(['domain'], { cwd })).code, 2);
      const wild = await add('*.example', '--server', 'vps.example');
      assert.equal(wild.code, 0);
      assert.match(wild.stdout, / --server vps\.example --domain '\*\.example'\n$/);
    });
  });
});
