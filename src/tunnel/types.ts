import type { TunnelEnd, Way } from '../core/events.ts';

/** What an agent says of itself in the handshake (design 3.1). */
export interface HandshakeHead {
  /** Canonical; from `Backdial-Domain`, the Basic user name, or `Host`. */
  readonly domain: string;
  readonly instance: string;
  readonly slot: number;
  readonly streamPerVisitor: boolean;
  readonly version: string | null;
}

/** What a `CONNECT` says of the stream that it opens (design 3.2). */
export interface StreamHead {
  /** `domain[:port]` as the visitor asked for it. */
  readonly authority: string;
  readonly way: Way;
  /** What comes is HTTP/1.1: always on the way `https`. */
  readonly http: boolean;
  /** The visitor's address, `ip:port`; null when it was not told. */
  readonly client: string | null;
  readonly transaction: string;
}

/** Deadlines of a tunnel. A frozen peer is to be known within 10 s of its last byte. Tests make them shorter. */
export interface LivenessOptions {
  /** A server: how often a PING is sent. An agent: after how long a silence. Ms. */
  readonly pingIntervalMs: number;
  /** Starts with a PING; ends with its answer or with any byte of the peer. */
  readonly pingTimeoutMs: number;
}

/** 5 s until the PING, 4.5 s for its answer, the rest for a busy machine. */
export const SERVER_LIVENESS: LivenessOptions = { pingIntervalMs: 5_000, pingTimeoutMs: 4_500 };

/** The server's PING mostly comes first. 5.5 s of silence, up to 0.5 s until it is seen, 3.5 s for the answer. */
export const AGENT_LIVENESS: LivenessOptions = { pingIntervalMs: 5_000, pingTimeoutMs: 3_500 };

/**
 * What an agent says in an ALTSVC frame when its targets changed: what the server keeps of before is not valid any more (RFC
 * 7838, section 3). Streams that are free are to be ended, and none that is open now is to be used for another exchange.
 */
export const OUTDATED = { value: 'clear', origin: 'https://targets' } as const;

/** How a tunnel ended, and what the platform said. */
export interface TunnelClosed {
  readonly reason: TunnelEnd;
  readonly detail: string | null;
}

export const HEADER = {
  client: 'backdial-client',
  way: 'backdial-way',
  /** `1`: HTTP/1.1 passes, on another way than `https`. */
  http: 'backdial-http',
  transaction: 'backdial-transaction',
  error: 'backdial-error',
  /** In the agent's 2xx: its `readTimeout` and `writeTimeout`, ms, which the server keeps for spliced HTTP. */
  readTimeout: 'backdial-read-timeout',
  writeTimeout: 'backdial-write-timeout',
} as const;
