import { parentPort } from 'node:worker_threads';
import { verifyHash } from './sha512-crypt.ts';

/** One check that the worker thread does. */
export interface VerifyJob {
  readonly id: number;
  readonly candidate: string;
  /** Well-formed hashes; all of them are tried, whichever fits. */
  readonly hashes: readonly string[];
}

/** What the worker thread found. */
export interface VerifyAnswer {
  readonly id: number;
  /** The hash that fits; null when none does. */
  readonly match: string | null;
}

parentPort?.on('message', ({ id, candidate, hashes }: VerifyJob) => {
  let match: string | null = null;
  for (const hash of hashes) if (verifyHash(candidate, hash)) match = hash;
  parentPort?.postMessage({ id, match } satisfies VerifyAnswer);
});
