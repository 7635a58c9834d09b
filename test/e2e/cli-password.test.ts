import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { verifyHash } from '../../src/server/sha512-crypt.ts';
import { MAIN, runCli } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';

/** Runs a line in which `backdial` is the program. */
async function shell(line: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const script = `backdial() { '${process.execPath}' '${MAIN}' "$@"; }\n${line}`;
  return new Promise((resolve) => {
    execFile('bash', ['-c', script], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

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

  it('hashes with --stdin what comes through a pipe or from a file, without the newline at its end', async () => {
    const secret = 'a piped secret, with blanks';
    await withFolder({ secret: `${secret}\n` }, async (folder) => {
      for (const line of [
        `printf '%s' '${secret}' | backdial password --stdin --rounds 1000`,
        `printf '%s\r\n' '${secret}' | backdial password --stdin --rounds 1000`,
        `backdial password --stdin --rounds 1000 < ${folder}/secret`,
      ]) {
        const { stdout, stderr } = await shell(line);
        assert.ok(verifyHash(secret, stdout.trimEnd()), `${line}: ${stdout}`);
        assert.equal(stderr, '');
      }
    });
  });

  it('takes nothing from standard input unasked, where a script may be, and says how it is asked', async () => {
    const { code, stdout, stderr } = await shell('printf "a\nb\n" | { backdial password --rounds 1000; cat; }');
    assert.equal(code, 0);
    assert.match(stdout, /^\S{32}\n\$6\$\S+\na\nb\n$/);
    assert.equal(stderr, 'backdial: warning: a new secret was made; --stdin hashes what is piped in\n');
  });

  it('refuses what is piped in and could not be used: nothing, several lines, Latin-1, too much', async () => {
    const wrong = [
      [':', 'is empty'],
      ["printf 'one\\ntwo\\n'", 'has characters that cannot be printed'],
      ["printf 'p\\344ssword-in-Latin-1'", 'is not UTF-8'],
      ['yes hunter2 | tr -d "\\n"', 'has \\d+ bytes; at most 128 are allowed'],
    ];
    for (const [line = '', fault] of wrong) {
      const { code, stdout, stderr } = await shell(`${line} | backdial password --stdin`);
      assert.deepEqual([code, stdout], [1, ''], line);
      assert.match(stderr, new RegExp(`^backdial: the input is invalid: the secret on standard input ${fault}`));
      assert.ok(!stderr.includes('hunter2'));
    }
    const { code, stderr } = await shell('backdial password --stdin a-secret < /dev/null');
    assert.equal(code, 2);
    assert.ok(!stderr.includes('a-secret'));
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
