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
 * Node's own reads get 64 kB each and are cut to size afterwards, which is an eighth of what a small exchange costs; and a
 * socket that is paused reads once more, where this one stops at once. `socket` gives the socket that has these options.
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

/** A socket as far as it is known here: Node's own names, which no document promises. */
interface Internals {
  readonly _handle?: { useUserBuffer?: (buffer: Uint8Array) => void } | null;
  [key: symbol]: unknown;
}

interface Keys {
  readonly buffer: symbol;
  readonly callback: symbol;
}

let keys: Keys | null = null;

/**
 * For a socket that is spliced from now on: large reads come from a pool, and are to be given back (see `giveBack`). One that
 * was accepted shares its reads, too: `net.Server` has no such option as {@link sharedReads}, so that it is set where Node
 * keeps it. False: it does already, it is closed, or this Node keeps that elsewhere; it reads as before then.
 */
export function shareReads(socket: Socket): boolean {
  spliced.add(socket);
  const internals = socket as unknown as Internals;
  keys ??= keysOf(socket);
  const handle = internals._handle;
  if (keys === null || typeof handle?.useUserBuffer !== 'function') return false;
  // It has a buffer of its own, or this one already.
  if (internals[keys.buffer] !== null || internals[keys.callback] !== null) return false;
  const { buffer, callback } = sharedReads(() => socket);
  internals[keys.buffer] = buffer;
  internals[keys.callback] = callback;
  handle.useUserBuffer(buffer as Buffer);
  return true;
}

function keysOf(socket: Socket): Keys | null {
  const own = Object.getOwnPropertySymbols(socket);
  const buffer = own.find(({ description }) => description === 'kBuffer');
  const callback = own.find(({ description }) => description === 'kBufferCb');
  return buffer === undefined || callback === undefined ? null : { buffer, callback };
}
