import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { HashVerifier } from '../../src/server/hash-verifier.ts';
import { hashSecret } from '../../src/server/sha512-crypt.ts';
import { runCli } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';

const SECRET = 'a secret that fits';
const HASH = hashSecret(SECRET, { rounds: 1_000 });

describe('a hash verifier', () => {
  it('whose thread failed starts another, which the end of the first one does not touch', async () => {
    const verifier = new HashVerifier(10);
    try {
      const [first, second] = await Promise.allSettled([
        // No list of hashes, which nobody gives: the thread fails.
        verifier.verify(SECRET, 5 as never, 'a'),
        verifier.verify(SECRET, [HASH], 'a'),
      ]);
      for (const { status } of [first, second]) assert.equal(status, 'rejected');
      for (let n = 0; n < 3; n += 1) assert.equal(await verifier.verify(SECRET, [HASH], 'a'), HASH);
    } finally {
      verifier.close(new Error('the test is over'));
    }
  });

  it('keeps the process alive while it hashes, each time, and no longer', async () => {
    const source = `
      import { HashVerifier } from ${JSON.stringify(import.meta.resolve('../../src/server/hash-verifier.ts'))};
      const verifier = new HashVerifier(10);
      for (let n = 0; n < 2; n += 1) console.log(await verifier.verify('a secret', ['${HASH}'], 'a'));`;
    await withFolder({ 'check.mjs': source }, async (folder) => {
      const { code, stdout, stderr } = await runCli([], { program: [process.execPath, join(folder, 'check.mjs')] });
      assert.equal(code, 0, stderr);
      assert.equal(stdout, 'null\nnull\n');
    });
  });
});
