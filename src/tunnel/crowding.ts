import type { Http2Stream } from 'node:http2';
import type { MemoryBudget } from './memory-budget.ts';

/**
 * What one turn of the event loop brings for the streams of a tunnel is read, decrypted, encrypted and written in one piece, at
 * each end: 64 kept-alive visitors on one tunnel cost a tenth less CPU than on two, 128 of HTTPS a fifth less than on two with
 * half of them each, at no lower rate: two tunnels let nothing be done at the same time that one does not.
 */
export const GATHERED_STREAMS = 128;
/** Fewer streams than this leave each other windows of a megabyte. */
export const LEAST_CROWD = 32;
/** So many streams that wait for their peer's credit are stalled, or share what the path gives. */
const WAITING_STREAMS = 32;
/** Of the tunnel's memory: a hundred that stalled hold a little more, where all came before any of them had its first window. */
const HELD_PART = 1 / 8;
/** A look at all streams is good for so long, ms. */
const LOOK_MS = 250;

/**
 * Whether a newcomer would fare better on another tunnel: one session has one window for all of its streams, and those that
 * stall here have made it small. Looks only when it is asked.
 */
export class Crowding {
  readonly #streams: Iterable<Http2Stream> & { readonly size: number };
  readonly #budget: MemoryBudget;
  #isCrowded = false;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(streams: Iterable<Http2Stream> & { readonly size: number }, budget: MemoryBudget) {
    this.#streams = streams;
    this.#budget = budget;
  }

  get isCrowded(): boolean {
    if (this.#streams.size < LEAST_CROWD) return false;
    const now = performance.now();
    if (now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now;
      this.#isCrowded = this.#look();
    }
    return this.#isCrowded;
  }

  #look(): boolean {
    let held = 0;
    let waiting = 0;
    for (const stream of this.#streams) {
      held += stream.readableLength;
      if (stream.writableNeedDrain) waiting += 1;
    }
    return waiting >= WAITING_STREAMS || held >= HELD_PART * this.#budget.tunnelBytes;
  }
}
