import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { verifyHash } from '../../src/server/sha512-crypt.ts';
import { runCli } from '../support/run-cli.ts';

describe('backdial password', () => {
  it('hashes a secret as other programs do', async () => {
    const { code, stdout, stderr } = await runCli(['password', 'Hello world!', '--salt', 'saltstring']);
    assert.equal(code, 0);
    assert.equal(
      stdout,
      '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1\n',
    );
    assert.match(stderr, /^backdial: warning: the secret is short/);
    const rounds = await runCli(['password', 'Hello world!', '--salt', 'saltstringsaltst', '--rounds', '10000']);
    assert.match(rounds.stdout, /^\$6\$rounds=10000\$saltstringsaltst\$OW1\/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/);
  });

  it('takes digits for text, not for a number', async () => {
    const { stdout } = await runCli(['password', '0012345678901234567890', '--salt', '00000000', '--rounds', '1000']);
    assert.match(stdout, /^\$6\$rounds=1000\$00000000\$/);
    assert.ok(verifyHash('0012345678901234567890', stdout.trimEnd()));
  });

  it('takes what stands behind -- for the secret, whatever it begins with', async () => {
    for (const secret of ['-a-secret-with-dashes', '--salt', 'plain-and-long-enough']) {
      const { code, stdout } = await runCli(['password', '--rounds', '1000', '--', secret]);
      assert.equal(code, 0);
      assert.ok(verifyHash(secret, stdout.trimEnd()), secret);
    }
    const { code, stdout, stderr } = await runCli(['password', 'hunter2hunter2hunter2', '--', 'hunter3']);
    assert.deepEqual([code, stdout], [2, '']);
    assert.ok(!stderr.includes('hunter'));
  });

  it('makes a secret when it is given none, and prints both', async () => {
    const { code, stdout, stderr } = await runCli(['password', '--rounds', '1000']);
    const [secret, hash, ...rest] = stdout.split('\n');
    assert.deepEqual([code, stderr, rest], [0, '', ['']]);
    assert.equal(secret?.length, 32);
    assert.ok(verifyHash(secret ?? '', hash ?? ''));
  });

  it('refuses what could not be used, without repeating it', async () => {
    const wrong = [
      ['hunter2'.repeat(20)],
      ['hunter2\n'],
      [''],
      ['hunter2', '--salt', 'short'],
      ['hunter2', '--rounds', '10'],
      ['hunter2', '--rounds', 'many'],
    ];
    for (const args of wrong) {
      const { code, stdout, stderr } = await runCli(['password', ...args]);
      assert.equal(code, 1, args.join(' '));
      assert.equal(stdout, '');
      assert.match(stderr, /^backdial: the input is invalid: /);
      assert.ok(!stderr.includes('hunter2'));
    }
  });
});
