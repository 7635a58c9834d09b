import { getDefaultHighWaterMark, setDefaultHighWaterMark } from 'node:stream';

/**
 * What a stream that nobody reads takes beyond its window, bytes: as much as one DATA frame. HTTP/2 gives the sender credit for all
 * that a stream takes until this much waits in it, whether or not it was paused; by default that is 64 kB, and a crowd of stalled
 * readers would hold as much of it as of their windows.
 */
export const READ_AHEAD_BYTES = 16 * 1024;

/** Calls `make`, and gives what it gives: the streams that it makes read no more ahead. `http2` has no option for it. */
export function readingLittleAhead<T>(make: () => T): T {
  const usual = getDefaultHighWaterMark(false);
  setDefaultHighWaterMark(false, READ_AHEAD_BYTES);
  try {
    return make();
  } finally {
    setDefaultHighWaterMark(false, usual);
  }
}
