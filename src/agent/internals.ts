import type { BackoffOptions } from '../core/backoff.ts';
import { AGENT_LIVENESS, type LivenessOptions } from '../tunnel/types.ts';
import { type Lookup, type ResolverOptions, systemLookup } from './resolver.ts';

/** The numbers of design 3.2 that no user sets; tests make them smaller and resolve names their own way. */
export interface AgentInternals {
  /** Default: the system's resolver, and the DNS for the TTL. */
  readonly lookup: Lookup;
  /** How long an answer counts: its TTL, 5 s at least and 30 s at most. */
  readonly resolveInterval: ResolverOptions['resolveInterval'];
  /** Starts with the dial; ends with the server's 101: TCP, proxy, TLS and upgrade together. Default 10,000. */
  readonly handshakeTimeoutMs: number;
  /** Dials to one server address that may be under way at the same time; the others wait for their turn. Default 64. */
  readonly dialsPerAddress: number;
  /** How long a tunnel must live to count as success and end the back-off, ms. Default 10,000. */
  readonly steadyAfterMs: number;
  /** Waits between attempts. Default: base 250 ms, cap 4 s, 30 s after 10 refusals. */
  readonly backoff: BackoffOptions;
  /** Waits between claims of a port that a server refused: one that is taken is not free again in a moment. Default: 1 s, cap 30 s. */
  readonly claimBackoff: BackoffOptions & { readonly baseMs: number };
  readonly liveness: LivenessOptions;
}

export const DEFAULT_INTERNALS: AgentInternals = Object.freeze({
  lookup: systemLookup,
  resolveInterval: { leastMs: 5_000, mostMs: 30_000 },
  handshakeTimeoutMs: 10_000,
  dialsPerAddress: 64,
  steadyAfterMs: 10_000,
  backoff: {},
  claimBackoff: { baseMs: 1_000, capMs: 30_000, refusedCapMs: 30_000 },
  liveness: AGENT_LIVENESS,
});
