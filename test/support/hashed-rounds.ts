import type { TestContext } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { HashVerifier } from '../../src/server/hash-verifier.ts';
import { roundsOf } from '../../src/server/secret-check.ts';

/**
 * Counts what the hash worker is given during a test. The array has, for each check that reached it, the rounds of all hashes
 * that the check tries, a decoy among them: what a refusal costs, however busy the machine is.
 */
export function recordHashedRounds(t: TestContext): number[] {
  const hashed: number[] = [];
  const verify = HashVerifier.prototype.verify;
  t.mock.method(HashVerifier.prototype, 'verify', function (this: HashVerifier, ...args: Parameters<typeof verify>) {
    hashed.push(roundsOf(args[1].map((hash) => new Secret(hash))));
    return verify.apply(this, args);
  });
  return hashed;
}
