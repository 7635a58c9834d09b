/** Bounds of a stream's window, bytes. The lower one is one read of a target: of the 65,535 of HTTP/2 its last byte is sent alone. */
const LEAST_STREAM_WINDOW_BYTES = 64 * 1024;
/**
 * nghttp2 gives credit back only when half of a window was used, so that a sender has three quarters of it on average: 32 MB
 * gave 0.78 of a path of 1 Gbit/s and 200 ms round trip (25 MB), 64 MB gives all.
 */
const LARGEST_STREAM_WINDOW_BYTES = 64 * 1024 * 1024;
/**
 * So many transfers may use the whole of the tunnel's memory; more share half, for each costs other buffers as well. Many share
 * a quarter: those that came first and stalled hold what was granted to them while they were few.
 */
const FEW_STREAMS = 8;
const MANY_STREAMS = 64;
/**
 * Many may have this all the same, as long as few stall and the tunnel's memory has room for all of them when they do. A window of two reads
 * of a target lets one be sent while the other is taken: a byte costs 1.15 to 1.25 times the CPU that it costs with windows of
 * megabytes, and 1.4 to 1.5 times with half of it.
 */
const CROWDED_STREAM_WINDOW_BYTES = 128 * 1024;
/**
 * With this one a byte costs no more than with larger ones. Many may have up to as much where they have become no more for a while,
 * and this part of the tunnel's memory has room for all of them: what those that stalled hold already is not taken again.
 */
const SETTLED_STREAM_WINDOW_BYTES = 512 * 1024;
const SETTLED_PART = 5 / 8;
/** Of its window, what a stalled stream holds on average: up to half of it had been taken before, and not been credited yet. */
const STALLED_PART = 3 / 4;
/** Once this part of the tunnel's memory is held, the average was too low. */
const NEARLY_HELD_PART = 7 / 8;
/**
 * Once the streams of a growing crowd hold this part, those to come will most likely stall as well. A byte that waits for somebody costs
 * nearly two: the pieces that TLS brought are kept whole, and the visitor's socket has some in its own queue.
 */
const STALLING_PART = 1 / 8;

/** One side of a tunnel, as its streams share its memory. */
export interface TunnelMemory {
  /** What may be held (`tunnelMemory`), and what is, bytes. */
  readonly tunnelBytes: number;
  readonly heldBytes: number;
  readonly streams: number;
  /** Whether there were as many streams a while ago. */
  readonly isSettled: boolean;
  /** What each stream takes beyond its window while nobody reads it, bytes. */
  readonly readAheadBytes: number;
}

/** The largest window that each stream may have, bytes, so that what stalled readers hold is bounded. */
export function windowShare(memory: TunnelMemory): number {
  const { tunnelBytes, streams } = memory;
  const share = tunnelBytes / Math.max(1, streams);
  const part = streams > MANY_STREAMS ? 4 : streams > FEW_STREAMS ? 2 : 1;
  const bytes = Math.max(share / part, streams > MANY_STREAMS ? crowdedShare(memory) : 0);
  // A power of two, so that it moves with every doubling of the streams and not with every stream.
  const bound = 2 ** Math.floor(Math.log2(bytes));
  return Math.max(LEAST_STREAM_WINDOW_BYTES, Math.min(LARGEST_STREAM_WINDOW_BYTES, bound));
}

/** What each of many may have so that all of them may stall. */
function crowdedShare({ tunnelBytes, heldBytes, streams, readAheadBytes, isSettled }: TunnelMemory): number {
  if (heldBytes >= NEARLY_HELD_PART * tunnelBytes) return 0;
  const within = (bytes: number): number => (bytes / streams - readAheadBytes) / STALLED_PART;
  const settled = isSettled ? Math.min(SETTLED_STREAM_WINDOW_BYTES, within(SETTLED_PART * tunnelBytes)) : 0;
  const isStalling = heldBytes >= STALLING_PART * tunnelBytes;
  return Math.max(settled, isStalling ? 0 : Math.min(CROWDED_STREAM_WINDOW_BYTES, within(tunnelBytes)));
}
