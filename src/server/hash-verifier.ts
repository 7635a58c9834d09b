import { getAsset, isSea } from 'node:sea';
import { Worker } from 'node:worker_threads';
import { BackdialError } from '../core/errors.ts';
import { FairQueue } from './fair-queue.ts';
import type { VerifyAnswer, VerifyJob } from './sha512-worker.ts';

/** The worker's file, beside this one: sources run unbuilt, and only import specifiers are rewritten by the compiler. */
const WORKER = new URL(`./sha512-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/** Its name in the single executable, which has no files beside it. */
const ASSET = 'sha512-worker.js';

interface Waiting {
  readonly job: VerifyJob;
  readonly resolve: (match: string | null) => void;
  readonly reject: (error: Error) => void;
}

/** Jobs that the thread has at a time: the next one is there when one is done. All others can still be put in order. */
const AT_THE_WORKER = 2;

/** Checks SHA-512-crypt hashes in one worker thread, one after the other: a storm of handshakes takes one core at most. */
export class HashVerifier {
  readonly #queue: FairQueue<Waiting>;
  /** Those that the thread has. */
  readonly #running = new Map<number, Waiting>();
  #worker: Worker | null = null;
  #closed: Error | null = null;
  #lastId = 0;

  /** `maxWaiting`: those at the thread included. */
  constructor(maxWaiting: number) {
    this.#queue = new FairQueue(Math.max(0, maxWaiting - AT_THE_WORKER));
  }

  /**
   * The one of `hashes` (well-formed) that `candidate` fits, or null. Senders take turns. Rejects with `internal`, and with
   * `connection-limit` where too many wait: the newest of the sender that has most.
   */
  verify(candidate: string, hashes: readonly string[], sender: string): Promise<string | null> {
    if (this.#closed !== null) return Promise.reject(this.#closed);
    this.#lastId += 1;
    const job = { id: this.#lastId, candidate, hashes };
    return new Promise((resolve, reject) => {
      const waiting = { job, resolve, reject };
      if (this.#running.size < AT_THE_WORKER) this.#run(waiting);
      else this.#queue.push(sender, waiting)?.reject(tooMany());
    });
  }

  /** Ends the thread; what waits, and what is asked from now on, is rejected with `reason`. */
  close(reason: Error): void {
    this.#closed = reason;
    this.#fail(reason);
  }

  #run(waiting: Waiting): void {
    const worker = this.#worker ?? this.#start();
    this.#running.set(waiting.job.id, waiting);
    worker.ref();
    worker.postMessage(waiting.job);
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
      this.#running.get(id)?.resolve(match);
      this.#running.delete(id);
      const next = this.#queue.shift();
      if (next !== undefined) this.#run(next);
      // An idle thread must not keep the process alive.
      if (this.#running.size === 0) worker.unref();
    });
    this.#worker = worker;
    return worker;
  }

  /** Rejects all that waits and lets the thread go; the next check starts another. */
  #fail(reason: Error): void {
    const worker = this.#worker;
    this.#worker = null;
    void worker?.terminate();
    for (const { reject } of this.#running.values()) reject(reason);
    this.#running.clear();
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next.reject(reason);
  }
}

function tooMany(): BackdialError {
  return new BackdialError('connection-limit', 'too many secrets wait to be checked');
}
