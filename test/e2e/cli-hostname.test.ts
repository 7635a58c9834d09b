import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runCli } from '../support/run-cli.ts';

describe('backdial hostname', () => {
  it('prints the canonical form', async () => {
    const names = {
      'faß.de': 'xn--fa-hia.de',
      'WWW.Example.com.': 'www.example.com',
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

  it('prints the name of the folder that a hosts folder of hashes has for it', async () => {
    const told = await runCli(['hostname', 'EXAMPLE.com.', '--hashed']);
    assert.deepEqual([told.code, told.stdout, told.stderr], [0, 'ceA51lG1FUJ-gCIICYcmzOsjls2JmL6BBz5LAHROpe0\n', '']);
    const { stdout: hashed } = await runCli(['hostname', '--hashed', '🕸💍.ws']);
    assert.equal((await runCli(['hostname', 'xn--sr8hvo.ws', '--hashed'])).stdout, hashed);
    assert.equal((await runCli(['hostname', '--hashed', '--', '🕸💍.ws'])).stdout, hashed);
    const { code, stdout, stderr } = await runCli(['hostname', '--hashed', 'a..b']);
    assert.deepEqual([code, stdout], [1, '']);
    assert.equal(stderr, 'backdial: not a valid host name: "a..b"\n');
  });

  it('says on standard error that a name is invalid, and exits 1', async () => {
    for (const name of ['a_b.example', '', '1.2.3']) {
      const { code, stdout, stderr } = await runCli(['hostname', name]);
      assert.deepEqual([code, stdout], [1, ''], name);
      assert.equal(stderr, `backdial: not a valid host name: "${name}"\n`);
    }
    assert.equal((await runCli(['hostname'])).code, 2);
  });
});
