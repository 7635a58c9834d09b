import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runCli } from '../support/run-cli.ts';

describe('backdial hostname', () => {
  it('prints the canonical form', async () => {
    const names = {
      'faß.de': 'xn--fa-hia.de',
      '🕸💍.ws': 'xn--sr8hvo.ws',
      'WWW.Example.com.': 'www.example.com',
      '123.example': '123.example',
    };
    for (const [typed, canonical] of Object.entries(names)) {
      assert.deepEqual(await runCli(['hostname', typed]), {
        code: 0,
        signal: null,
        stdout: `${canonical}\n`,
        stderr: '',
      });
    }
  });

  it('says on standard error that a name is invalid, and exits 1', async () => {
    for (const name of ['a_b.example', 'a..b', '', '1.2.3', '123']) {
      const { code, stdout, stderr } = await runCli(['hostname', name]);
      assert.deepEqual([code, stdout], [1, ''], name);
      assert.equal(stderr, `backdial: not a valid host name: "${name}"\n`);
    }
    assert.equal((await runCli(['hostname'])).code, 2);
  });
});
