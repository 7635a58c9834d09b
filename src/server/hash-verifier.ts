import { getAsset, isSea } from 'node:sea';
import { Worker } from 'node:worker_threads';
import { BackdialError } from '../core/errors.ts';
import type { VerifyAnswer, VerifyJob } from './sha512-worker.ts';

/** The worker's file, beside this one: sources run unbuilt, and only import specifiers are rewritten by the compiler. */
const WORKER = new URL(`./sha512-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/** Its name in the single executable, which has no files beside it. */
const ASSET = 'sha512-worker.js';

interface Waiting {
  readonly resolve: (match: string | null) => void;
  readonly reject: (error: Error) => void;
}

/** Checks SHA-512-crypt hashes in one worker thread, one after the other: a storm of handshakes takes one core at most. */
export class HashVerifier {
  readonly #maxWaiting: number;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | null = null;
  #closed: Error | null = null;
  #lastId = 0;

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  /** The one of `hashes` (well-formed) that `candidate` fits, or null. Rejects with `connection-limit` or `internal`. */
  verify(candidate: string, hashes: readonly string[]): Promise<string | null> {
    if (this.#closed !== null) return Promise.reject(this.#closed);
    if (this.#waiting.size >= this.#maxWaiting) {
      return Promise.reject(new BackdialError('connection-limit', 'too many secrets wait to be checked'));
    }
    const worker = this.#worker ?? this.#start();
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, candidate, hashes } satisfies VerifyJob);
    });
  }

  /** Ends the thread; what waits, and what is asked from now on, is rejected with `reason`. */
  close(reason: Error): void {
    this.#closed = reason;
    this.#fail(reason);
  }

  #start(): Worker {
    const worker = isSea() ? new Worker(getAsset(ASSET, 'utf8'), { eval: true }) : new Worker(WORKER);
    const workerOnError = (error: unknown): void => {
      if (this.#worker === worker)
        this.#fail(new BackdialError('internal', 'the hash worker failed', { cause: error }));
    };
    worker.on('error', workerOnError);
    worker.on('messageerror', workerOnError);
    worker.on('exit', (code) => workerOnError(new Error(`exit code ${code}`)));
    worker.on('message', ({ id, match }: VerifyAnswer) => {
      this.#waiting.get(id)?.resolve(match);
      this.#waiting.delete(id);
      // An idle thread must not keep the process alive.
      if (this.#waiting.size === 0) worker.unref();
    });
    this.#worker = worker;
    return worker;
  }

  /** Rejects all that waits and lets the thread go; the next check starts another. */
  #fail(reason: Error): void {
    const worker = this.#worker;
    this.#worker = null;
    void worker?.terminate();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}
