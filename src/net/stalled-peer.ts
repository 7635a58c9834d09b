import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Deadline } from './deadline.ts';
import { type TcpEnds, unacknowledgedBytes } from './kernel-queue.ts';

/** A peer for which bytes wait is looked at so often within the time that it has. */
const LOOKS = 2;

/** How long bytes wait for a peer that may take none of them for `ms` until it is looked at, ms. 0, never, stays 0. */
export function untilLook(ms: number): number {
  return Math.ceil(ms / LOOKS);
}

/**
 * Tells who takes nothing from who is slow. Of what a slow peer takes, a process hears late: its bytes leave it in steps of up to
 * a megabyte, and a player of music needs more than a minute for one. What the peer acknowledged is asked of the kernel, once
 * nothing left the process for {@link untilLook}: a peer is stalled when two such looks in a row see the same.
 */
export class StalledPeer {
  readonly #ends: TcpEnds;
  #seenBytes: number | null = null;
  #seenAt = Number.NEGATIVE_INFINITY;

  constructor(ends: TcpEnds) {
    this.#ends = ends;
  }

  /** To be asked whenever bytes waited for `untilLook(ms)` and none left the process. True: the peer took nothing for `ms`. */
  async look(ms: number): Promise<boolean> {
    const now = performance.now();
    const sinceSeenMs = now - this.#seenAt;
    const bytes = await unacknowledgedBytes(this.#ends);
    // In a longer time some may have left, and the kernel holds as much as before.
    const isStalled = sinceSeenMs < 1.5 * untilLook(ms) && bytes === this.#seenBytes;
    this.#seenBytes = bytes;
    this.#seenAt = now;
    return isStalled;
  }
}

/** Starts when bytes wait in a stream; passes when its peer took none of them. */
export class StallDeadline {
  readonly #stream: Duplex;
  readonly #onStalled: () => void;
  readonly #deadline = new Deadline(() => void this.#look());
  #peer: StalledPeer | null = null;
  #ms = 0;
  #waitingBytes = 0;
  /** Counts what was armed and disarmed: what is known of an earlier time says nothing. */
  #time = 0;

  constructor(stream: Duplex, onStalled: () => void) {
    this.#stream = stream;
    this.#onStalled = onStalled;
  }

  /** 0: never. */
  arm(ms: number): void {
    this.#time += 1;
    this.#ms = ms;
    this.#waitingBytes = this.#stream.writableLength;
    this.#deadline.arm(untilLook(ms));
  }

  disarm(): void {
    this.#time += 1;
    this.#deadline.disarm();
  }

  /** Disarms for good. */
  close(): void {
    this.#time += 1;
    this.#deadline.close();
  }

  async #look(): Promise<void> {
    const time = this.#time;
    const bytes = this.#stream.writableLength;
    const isSame = bytes >= this.#waitingBytes;
    this.#waitingBytes = bytes;
    this.#peer ??= new StalledPeer(this.#stream instanceof Socket ? this.#stream : {});
    const isStalled = isSame && (await this.#peer.look(this.#ms));
    if (time !== this.#time) return;
    if (isStalled) this.#onStalled();
    else this.#deadline.arm(untilLook(this.#ms));
  }
}
