import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BackdialError } from '../core/errors.ts';
import type { FlowWriter } from './flow-writer.ts';
import { resetDuplex } from './reset.ts';
import { SplicedSocket } from './spliced-socket.ts';
import { StreamWriter } from './stream-writer.ts';
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

/** What an HTTP/2 stream adds to a Duplex, as far as the end of it is concerned. */
interface MaybeHttp2Stream {
  readonly rstCode?: number | undefined;
}

/** One direction. */
interface Flow {
  /** What it means when its source is cut. */
  readonly end: 'a-reset' | 'b-reset';
  readonly writer: FlowWriter;
  readonly from: Duplex;
  readonly to: Duplex;
  bytes: number;
}

class Splice {
  /**
   * Null once all is over. The listeners of each side know the other by this alone: whatever keeps one of them for longer (HTTP/2
   * has its streams in a `Map`: see `Crowd`) must not keep both, and all that belongs to a visit.
   */
  #flows: readonly [aToB: Flow, bToA: Flow] | null;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (result: SpliceResult) => void;
  /** Ends and finishes still to come: one of each a side. */
  #pending = 4;

  constructor(a: Duplex, b: Duplex, signal: AbortSignal | undefined, resolve: (result: SpliceResult) => void) {
    this.#flows = [flowOf(a, b, 'a-reset'), flowOf(b, a, 'b-reset')];
    this.#signal = signal;
    this.#resolve = resolve;
  }

  start(): void {
    for (const flow of this.#flows ?? []) this.#watch(flow.from, flow.end);
    if (this.#signal?.aborted === true) this.#signalOnAbort();
    else this.#signal?.addEventListener('abort', this.#signalOnAbort);
    if (this.#flows === null) return;
    this.#pump(0);
    this.#pump(1);
  }

  /** Every way in which a side can be cut. */
  #watch(side: Duplex, end: 'a-reset' | 'b-reset'): void {
    side.on('error', (error: Error) => this.#cut(end, error));
    // HTTP/2: the peer reset the stream, or its session died, while this side could still write.
    if (!(side instanceof Socket)) {
      side.on('aborted', () =>
        this.#cut(end, side.errored ?? new BackdialError('agent-lost', 'the stream was aborted')),
      );
    }
    const sideOnFinish = (): void => this.#finished();
    side.on('close', () => {
      if (side.readableEnded && side.writableFinished) return;
      if (isSentWhole(side)) {
        side.off('finish', sideOnFinish);
        sideOnFinish();
        return;
      }
      this.#cut(end, new BackdialError('agent-lost', 'the stream was closed before its end'));
    });
    side.on('finish', sideOnFinish);
    if (side.destroyed)
      this.#cut(end, side.errored ?? new BackdialError('agent-lost', 'the stream was closed already'));
  }

  #pump(index: 0 | 1): void {
    const flow = this.#flows?.[index];
    if (flow === undefined) return;
    const take = (chunk: Buffer): void => this.#sourceOnData(index, chunk);
    flow.from.on('data', take);
    if (flow.from instanceof SplicedSocket) flow.from.handTo(take);
    flow.to.on('drain', () => this.#sinkOnDrain(index));
    // A socket that nobody reads says `end` all the same where the FIN is all that there is to be read.
    if (flow.from.readableEnded) this.#sourceOnEnd(index);
    else flow.from.on('end', () => this.#sourceOnEnd(index));
    flow.from.resume();
  }

  #sourceOnData(index: 0 | 1, chunk: Buffer): void {
    const flow = this.#flows?.[index];
    if (flow === undefined) return;
    flow.bytes += chunk.length;
    flow.writer.write(chunk);
  }

  #sinkOnDrain(index: 0 | 1): void {
    const flow = this.#flows?.[index];
    flow?.writer.queueOnMove();
    flow?.from.resume();
  }

  #sourceOnEnd(index: 0 | 1): void {
    const flow = this.#flows?.[index];
    if (flow === undefined) return;
    // An HTTP/2 stream that was reset with CANCEL after this side had ended says `end` and nothing else.
    const code = (flow.from as MaybeHttp2Stream).rstCode;
    if (code !== undefined && code !== 0) {
      this.#cut(flow.end, new BackdialError('agent-lost', `RST_STREAM code ${code}`));
      return;
    }
    // All else is over: what is due is this end, and that it was sent.
    const isClosed = this.#pending === 2 ? flow.writer.endLast() : flow.writer.end();
    if (isClosed) this.#settle('done', null);
    else this.#finished();
  }

  readonly #signalOnAbort = (): void => this.#cut('aborted', asError(this.#signal?.reason));

  #finished(): void {
    this.#pending -= 1;
    if (this.#pending === 0) this.#settle('done', null);
  }

  #cut(end: SpliceResult['end'], error: Error): void {
    for (const { from } of this.#settle(end, error)) resetDuplex(from, error);
  }

  /** Gives what was joined until then; nothing where all is over already. */
  #settle(end: SpliceResult['end'], error: Error | null): readonly Flow[] {
    const flows = this.#flows;
    if (flows === null) return [];
    this.#flows = null;
    const [{ bytes: bytesAToB }, { bytes: bytesBToA }] = flows;
    for (const { writer } of flows) writer.close();
    this.#signal?.removeEventListener('abort', this.#signalOnAbort);
    this.#resolve({ end, error, bytesAToB, bytesBToA });
    return flows;
  }
}

function flowOf(from: Duplex, to: Duplex, end: Flow['end']): Flow {
  // Towards the tunnel nothing is gained by waiting for the turn's end: HTTP/2 does that.
  const writer = to instanceof Socket ? new TurnWriter(from, to) : new StreamWriter(from, to);
  return { end, writer, from, to, bytes: 0 };
}

/**
 * An HTTP/2 stream whose last DATA frame is also its END_STREAM, and whose peer ended before, closes while that frame is written:
 * Node never says `finish` then. What was cut has an error, or a code, or never ended.
 */
function isSentWhole(side: Duplex & MaybeHttp2Stream): boolean {
  const hasEnded = side.readableEnded && side.writableEnded && side.writableLength === 0;
  return hasEnded && side.rstCode === 0 && side.errored === null;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new BackdialError('dial-aborted', String(reason));
}
