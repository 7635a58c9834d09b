import { setTimeout as sleep } from 'node:timers/promises';

/** How long visitors who have just come are waited for when a server stops, ms: a handshake and a request over a long path. */
const LAST_CALL_MS = 500;
/** Whoever has not asked for anything by then is no newcomer, but idle, ms. */
const NEWCOMER_MS = 1_000;
const LOOK_MS = 10;

/** Whether a connection that has not asked for anything was accepted only just now. */
export function isNewcomer({ acceptedAt }: { readonly acceptedAt: number }): boolean {
  return performance.now() - acceptedAt < NEWCOMER_MS;
}

/**
 * Resolves when there are no newcomers any more, at the latest after {@link LAST_CALL_MS}. Between the last `accept` and the end
 * of the listener visitors got a connection whom nobody else will answer: their first request, or their stream, is to be under way
 * before the tunnels leave.
 */
export async function lastCall(newcomers: () => number): Promise<void> {
  const end = performance.now() + LAST_CALL_MS;
  while (newcomers() > 0 && performance.now() < end) await sleep(LOOK_MS);
}
