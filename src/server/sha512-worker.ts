import { readlinkSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';
import { basename } from 'node:path';
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

/**
 * How much behind the event loop this thread stands where both want the same core: a tenth is left to it. The last place of
 * all would keep everybody waiting who logs in while the machine is busy with something else.
 */
const NICER_BY = 10;

/** A storm of wrong secrets must not take the core away from those who are served. Linux alone has priorities by thread. */
function standBack(): void {
  try {
    const thread = Number(basename(readlinkSync('/proc/thread-self')));
    setPriority(thread, Math.min(constants.priority.PRIORITY_LOW, getPriority(thread) + NICER_BY));
  } catch {
    // Elsewhere it is as it is.
  }
}

/**
 * How long this thread sleeps in between, ms. However far it stands back, Linux lets it finish the slice that it is in, some 3 ms,
 * while the event loop waits for the core; whoever sleeps leaves it at once. A fifth of this thread's pace is the price.
 */
const REST_MS = 0.1;
/** Nobody ever wakes it up. */
const asleep = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

function rest(): void {
  Atomics.wait(asleep, 0, 0, REST_MS);
}

standBack();
parentPort?.on('message', ({ id, candidate, hashes }: VerifyJob) => {
  let match: string | null = null;
  for (const hash of hashes) if (verifyHash(candidate, hash, rest)) match = hash;
  parentPort?.postMessage({ id, match } satisfies VerifyAnswer);
});
