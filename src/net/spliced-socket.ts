import { Socket, type SocketConstructorOpts } from 'node:net';
import type { DuplexOptions } from 'node:stream';
import { copyOf, LEAST_BLOCK_BYTES } from './blocks.ts';

/** What one read takes at most, bytes: as much as Node's own reads. */
const READ_BYTES = 64 * 1024;

/**
 * `highWaterMark` of sockets that are spliced, bytes: one DATA frame. Nothing smaller that waits for the kernel makes a `drain`,
 * and nothing larger waits unseen; a socket that is paused holds that and one read.
 */
export const SPLICED_BYTES = 16 * 1024;

/** Where all these sockets read to: each read is copied before the next one is made. */
let shared: Buffer | null = null;

/**
 * A socket, not connected yet, for one splice: it reads into a buffer that all of them share, and says `data` with copies of what
 * came. With Node's own reads a socket that is paused reads once more, up to 64 kB, where this one stops at once.
 */
export class SplicedSocket extends Socket {
  #sink: ((chunk: Buffer) => void) | null = null;
  #givesBack = false;

  constructor(options: SocketConstructorOpts) {
    shared ??= Buffer.allocUnsafeSlow(READ_BYTES);
    const onread = { buffer: shared, callback: (bytes: number) => this.#onRead(bytes) };
    const all: SocketConstructorOpts & DuplexOptions = { ...options, highWaterMark: SPLICED_BYTES, onread };
    super(all);
  }

  /** Where reads go while the socket flows, instead of `data`, which an exchange of small messages pays most for. */
  handTo(sink: (chunk: Buffer) => void): void {
    this.#sink = sink;
  }

  /** From now on large reads come from a pool, and are to be given back (see `giveBack`). */
  sharePool(): void {
    this.#givesBack = true;
  }

  /** False where no more is to be read; a pause has said so by itself. */
  #onRead(bytes: number): boolean {
    const from = shared as Buffer;
    const isPooled = this.#givesBack || bytes < LEAST_BLOCK_BYTES;
    const chunk = isPooled ? copyOf(from, bytes) : Buffer.copyBytesFrom(from, 0, bytes);
    // What waits was said before a socket that flows reads on.
    if (this.#sink === null || this.readableFlowing !== true) return this.push(chunk);
    this.#sink(chunk);
    return true;
  }
}
