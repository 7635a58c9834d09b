import type { TunnelInfo } from './events.ts';

/** What one end of a tunnel shows of it at the moment of asking. */
export interface TunnelStats {
  /** Epoch ms. */
  readonly openedAt: number;
  /** Round trip of the last PING, ms; null before the first. */
  readonly rttMs: number | null;
  /** Streams that are open or being opened. */
  readonly streams: number;
  /** Window of each stream on this receiving side, bytes: what its sender may have under way. */
  readonly streamWindowBytes: number;
  /** Window of all streams together, bytes. */
  readonly tunnelWindowBytes: number;
  /** Received and not yet taken by a reader, bytes. */
  readonly heldBytes: number;
  /** What came from the other end, bytes, those of HTTP/2 included. */
  readonly receivedBytes: number;
  /** What went to the other end, likewise. */
  readonly sentBytes: number;
}

/** What stalled readers make a process hold. */
export interface MemoryStats {
  /** Received in all tunnels and not yet taken by a reader, bytes; as of the last look, at most a second ago where bytes move. */
  readonly heldBytes: number;
  /** The budget (`memory`), bytes. */
  readonly budgetBytes: number;
}

/** A tunnel that takes streams. */
export interface LiveTunnel extends TunnelInfo {
  /** What it shows now. Cheap: counters that are kept anyway, and one look at each open stream. */
  stats(): TunnelStats;
}
