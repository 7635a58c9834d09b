import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BackdialError } from '../core/errors.ts';
import { giveBack, isPooled } from './blocks.ts';
import { resetDuplex } from './reset.ts';
import { shareReads } from './shared-reads.ts';
import { TurnWriter } from './turn-writer.ts';

/** How two joined streams ended. */
export interface SpliceResult {
  /** `done`: both directions ended cleanly. `a-reset`, `b-reset`: that side was cut first. `aborted`: the signal did it. */
  readonly end: 'done' | 'a-reset' | 'b-reset' | 'aborted';
  /** What the platform said of the cut. */
  readonly error: Error | null;
  readonly bytesAToB: number;
  readonly bytesBToA: number;
}

/** What an HTTP/2 stream adds to a Duplex, as far as the end of it is concerned. */
interface MaybeHttp2Stream {
  readonly rstCode?: number | undefined;
}

/**
 * Joins two byte streams until both directions ended, and never lies about it: an end passes as an end (half-close, so
 * both must have `allowHalfOpen`), a cut passes as a reset, back-pressure passes. Owns both from the call on: they are
 * finished or destroyed when the promise resolves; it never rejects. The one place that joins two byte streams.
 *
 * Written on `data`, `write` and `drain` rather than with `pipeline()`, which turns a reset into a clean end (FIN).
 */
export function splice(a: Duplex, b: Duplex, options: { signal?: AbortSignal } = {}): Promise<SpliceResult> {
  return new Promise((resolve) => {
    new Splice(a, b, options.signal, resolve).start();
  });
}

class Splice {
  readonly #a: Duplex;
  readonly #b: Duplex;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (result: SpliceResult) => void;
  #bytesAToB = 0;
  #bytesBToA = 0;
  /** Ends and finishes still to come: one of each a side. */
  #pending = 4;
  #settled = false;

  constructor(a: Duplex, b: Duplex, signal: AbortSignal | undefined, resolve: (result: SpliceResult) => void) {
    this.#a = a;
    this.#b = b;
    this.#signal = signal;
    this.#resolve = resolve;
  }

  start(): void {
    this.#watch(this.#a, 'a-reset');
    this.#watch(this.#b, 'b-reset');
    if (this.#settled) return;
    if (this.#signal?.aborted === true) this.#signalOnAbort();
    this.#signal?.addEventListener('abort', this.#signalOnAbort);
    if (this.#settled) return;
    this.#pump(this.#a, this.#b, (bytes) => {
      this.#bytesAToB += bytes;
    });
    this.#pump(this.#b, this.#a, (bytes) => {
      this.#bytesBToA += bytes;
    });
  }

  /** Every way in which a side can be cut. */
  #watch(side: Duplex, end: 'a-reset' | 'b-reset'): void {
    side.on('error', (error: Error) => this.#cut(end, error));
    // HTTP/2: the peer reset the stream, or its session died, while this side could still write.
    side.on('aborted', () => this.#cut(end, side.errored ?? new BackdialError('agent-lost', 'the stream was aborted')));
    side.on('close', () => {
      if (side.readableEnded && side.writableFinished) return;
      this.#cut(end, new BackdialError('agent-lost', 'the stream was closed before its end'));
    });
    side.on('finish', () => this.#finished());
    if (side.destroyed)
      this.#cut(end, side.errored ?? new BackdialError('agent-lost', 'the stream was closed already'));
  }

  #pump(from: Duplex, to: Duplex, count: (bytes: number) => void): void {
    const end = from === this.#a ? 'a-reset' : 'b-reset';
    // Towards the tunnel nothing is gained: a socket's read is one chunk already.
    const gathered = to instanceof Socket ? new TurnWriter(from, to) : null;
    // Only what is written at once is given back.
    if (gathered === null && from instanceof Socket) shareReads(from);
    from.on('data', (chunk: Buffer) => {
      count(chunk.length);
      if (gathered !== null) gathered.write(chunk);
      else if (!(isPooled(chunk) ? writePooled(to, chunk) : to.write(chunk))) from.pause();
    });
    to.on('drain', () => {
      gathered?.queueOnMove();
      from.resume();
    });
    if (gathered !== null) to.on('close', () => gathered.queueOnMove());
    const fromOnEnd = (): void => {
      // An HTTP/2 stream that was reset with CANCEL after this side had ended says `end` and nothing else.
      const code = (from as MaybeHttp2Stream).rstCode;
      if (code !== undefined && code !== 0) this.#cut(end, new BackdialError('agent-lost', `RST_STREAM code ${code}`));
      if (this.#settled) return;
      gathered?.flush();
      to.end();
      this.#finished();
    };
    // A socket that nobody reads says `end` all the same where the FIN is all that there is to be read.
    if (from.readableEnded) fromOnEnd();
    else from.on('end', fromOnEnd);
    from.resume();
  }

  readonly #signalOnAbort = (): void => this.#cut('aborted', asError(this.#signal?.reason));

  #finished(): void {
    this.#pending -= 1;
    if (this.#pending === 0) this.#settle('done', null);
  }

  #cut(end: SpliceResult['end'], error: Error): void {
    if (this.#settled) return;
    this.#settle(end, error);
    resetDuplex(this.#a, error);
    resetDuplex(this.#b, error);
  }

  #settle(end: SpliceResult['end'], error: Error | null): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#signal?.removeEventListener('abort', this.#signalOnAbort);
    this.#resolve({ end, error, bytesAToB: this.#bytesAToB, bytesBToA: this.#bytesBToA });
  }
}

/** A stream that is destroyed calls back as well, while the platform may still have the bytes to send. */
function writePooled(to: Duplex, chunk: Buffer): boolean {
  return to.write(chunk, (error) => {
    if (error == null && !to.destroyed) giveBack(chunk);
  });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new BackdialError('dial-aborted', String(reason));
}
