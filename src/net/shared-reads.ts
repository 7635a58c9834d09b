import type { OnReadOpts, Socket } from 'node:net';
import { copyOf } from './blocks.ts';

/** What one read takes at most, bytes: as much as Node's own reads. */
const READ_BYTES = 64 * 1024;

/**
 * `highWaterMark` of sockets that are spliced, bytes. What the kernel does not take is waited for, whatever its size, and a
 * socket that is paused reads nothing ahead: what a stalled stream holds is its window, and one read.
 */
export const SPLICED_BYTES = 0;

/** Those whose reads are given back once they were written: to a splice nothing else has them. */
const spliced = new WeakSet<Socket>();

/** Where all these sockets read to: each read is copied before the next one is made. */
let shared: Buffer | null = null;

/**
 * For the options of a socket: it reads into one buffer that all of them share, and says `data` with copies of what came.
 * With Node's own reads a socket that is paused reads once more, up to 64 kB, where this one stops at once. `socket` gives the
 * socket that has these options.
 */
export function sharedReads(socket: () => Socket): OnReadOpts {
  shared ??= Buffer.allocUnsafeSlow(READ_BYTES);
  const buffer = shared;
  return {
    buffer,
    callback(bytes) {
      const own = socket();
      return own.push(spliced.has(own) ? copyOf(buffer, bytes) : Buffer.copyBytesFrom(buffer, 0, bytes));
    },
  };
}

/** For a socket that is spliced from now on: its large reads come from a pool, and are to be given back (see `giveBack`). */
export function shareReads(socket: Socket): void {
  spliced.add(socket);
}
