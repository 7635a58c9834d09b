import type { BackoffOptions } from '../core/backoff.ts';
import { DEFAULT_LIVENESS, type LivenessOptions } from '../tunnel/types.ts';
import { lookupAddresses } from './resolver.ts';

/** The numbers of design 3.2 that no user sets; tests make them smaller and resolve names their own way. */
export interface AgentInternals {
  /** Every address of a name; rejects with the platform's error (`code`). Default: the system's resolver. */
  readonly lookup: (host: string) => Promise<readonly string[]>;
  /** How often a name is resolved again, ms. Default 30,000. */
  readonly resolveIntervalMs: number;
  /** Starts with the dial; ends with the server's 101: TCP, proxy, TLS and upgrade together. Default 10,000. */
  readonly handshakeTimeoutMs: number;
  /** How long a tunnel must live to count as success and end the back-off, ms. Default 10,000. */
  readonly steadyAfterMs: number;
  /** Waits between attempts. Default: base 250 ms, cap 4 s, 30 s after 10 refusals. */
  readonly backoff: BackoffOptions;
  readonly liveness: LivenessOptions;
}

export const DEFAULT_INTERNALS: AgentInternals = Object.freeze({
  lookup: lookupAddresses,
  resolveIntervalMs: 30_000,
  handshakeTimeoutMs: 10_000,
  steadyAfterMs: 10_000,
  backoff: {},
  liveness: DEFAULT_LIVENESS,
});
