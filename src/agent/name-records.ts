import { Resolver } from 'node:dns/promises';

/** What the DNS says of a name, beside its addresses. */
export interface NameRecords {
  /** The least TTL of its addresses, ms; null where the DNS has none of them (`/etc/hosts` does, or there is no DNS). */
  readonly ttlMs: number | null;
  /** Families (4: A, 6: AAAA) whose question was not answered, for now. */
  readonly unanswered: ReadonlySet<number>;
}

/** Of each question, and how often it is asked. */
const TIMEOUT_MS = 2_000;
const TRIES = 2;
/** Answers of a server that knows: there is no such name, or it has no such address. */
const DEFINITE = new Set(['ENOTFOUND', 'ENODATA']);

export const NO_RECORDS: NameRecords = Object.freeze({ ttlMs: null, unanswered: new Set<number>() });

/**
 * Asks the DNS itself, which knows what getaddrinfo does not tell. Never rejects; `signal` ends the questions. `servers`: those
 * of the system, unless others are given (`ip:port`).
 */
export async function askRecords(
  host: string,
  signal: AbortSignal,
  servers: readonly string[] = [],
): Promise<NameRecords> {
  let resolver: Resolver;
  try {
    resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
    if (servers.length > 0) resolver.setServers(servers);
  } catch {
    return NO_RECORDS;
  }
  const cancel = (): void => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  const [a, aaaa] = await Promise.allSettled([
    resolver.resolve4(host, { ttl: true }),
    resolver.resolve6(host, { ttl: true }),
  ]);
  signal.removeEventListener('abort', cancel);
  const unanswered = new Set<number>();
  let ttl = Number.POSITIVE_INFINITY;
  for (const [family, result] of [
    [4, a],
    [6, aaaa],
  ] as const) {
    if (result.status === 'fulfilled') for (const record of result.value) ttl = Math.min(ttl, record.ttl);
    else if (!DEFINITE.has((result.reason as NodeJS.ErrnoException).code ?? '')) unanswered.add(family);
  }
  return { ttlMs: Number.isFinite(ttl) ? ttl * 1_000 : null, unanswered };
}
