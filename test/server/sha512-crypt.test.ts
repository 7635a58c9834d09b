import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseSecretHash } from '../../src/core/secret-rules.ts';
import { hashSecret, verifyHash } from '../../src/server/sha512-crypt.ts';

describe('SHA-512-crypt', () => {
  it('gives the published vectors', () => {
    assert.equal(
      hashSecret('Hello world!', { salt: 'saltstring' }),
      '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
    );
    assert.equal(
      hashSecret('Hello world!', { salt: 'saltstringsaltst', rounds: 10_000 }),
      '$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.',
    );
  });

  const samples = ['x', 'Hello world!', 'naïve ☃ 🕸💍', 'pässwörd', 'ÿ'.repeat(64), 'z'.repeat(128), '-dash "$quoted"'];
  for (const sample of samples) {
    it(`agrees with openssl and mkpasswd about ${JSON.stringify(sample.slice(0, 20))}`, () => {
      const made = hashSecret(sample, { salt: 'Some.Salt/12' });
      const openssl = execFileSync('openssl', ['passwd', '-6', '-salt', 'Some.Salt/12', '-stdin'], { input: sample });
      assert.equal(openssl.toString().trim(), made);
      const mkpasswd = execFileSync('mkpasswd', ['-m', 'sha-512', '-S', 'Some.Salt/12', '-s'], { input: sample });
      assert.equal(mkpasswd.toString().trim(), made);
    });
  }

  it('agrees with mkpasswd about rounds', () => {
    for (const rounds of [1_000, 5_000, 12_345]) {
      const args = ['-m', 'sha-512', '-S', 'saltsalt', '-R', String(rounds), '-s'];
      const theirs = execFileSync('mkpasswd', args, { input: 'some secret' }).toString().trim();
      assert.equal(theirs, hashSecret('some secret', { salt: 'saltsalt', rounds }));
      assert.deepEqual(parseSecretHash(theirs), { rounds, salt: 'saltsalt' });
    }
  });

  it('draws a fresh salt each time, and verifies only the secret that was hashed', () => {
    const first = hashSecret('some secret', { rounds: 1_000 });
    const second = hashSecret('some secret', { rounds: 1_000 });
    assert.notEqual(first, second);
    for (const hash of [first, second]) {
      assert.ok(verifyHash('some secret', hash));
      assert.ok(!verifyHash('some secreT', hash));
    }
  });

  it('checks with the SHA-512 of the runtime what is made with that of a library: two programs agree', () => {
    const salt = fc.string({ unit: fc.constantFrom(...'./09AZaz'), minLength: 8, maxLength: 16 });
    const secret = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 16 });
    const compare = fc.property(secret, salt, fc.integer({ min: 1_000, max: 1_100 }), (text, given, rounds) => {
      fc.pre(Buffer.byteLength(text) <= 128);
      const hash = hashSecret(text, { salt: given, rounds });
      assert.ok(verifyHash(text, hash), hash);
      assert.ok(!verifyHash(text.slice(1), hash));
    });
    fc.assert(compare, { numRuns: 30 });
  });

  it('refuses salts and rounds that other programs could not read back, and secrets that take too long', () => {
    const refused = { code: 'input-invalid' };
    assert.throws(() => hashSecret('x', { salt: 'short' }), refused);
    assert.throws(() => hashSecret('x', { salt: 'seventeen.letters' }), refused);
    assert.throws(() => hashSecret('x', { salt: 'dollar$$' }), refused);
    assert.throws(() => hashSecret('x', { salt: 'rounds=1000' }), refused);
    for (const rounds of [0, 999, 100_001, 1.5, Number.NaN]) assert.throws(() => hashSecret('x', { rounds }), refused);
    assert.throws(() => hashSecret('é'.repeat(65)), refused);
  });
});
