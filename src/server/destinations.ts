import { lookup } from 'node:dns/promises';
import { isIP, type Socket } from 'node:net';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { inTime } from '../core/in-time.ts';
import { openTarget, targetFailure } from '../net/open-target.ts';
import type { Holder } from './holder.ts';

/** Starts with the look-up; ends with its answer. */
const RESOLVE_TIMEOUT_MS = 10_000;
/** Starts with the dial of one address; ends when it is connected. */
const CONNECT_TIMEOUT_MS = 5_000;

/** Gives every IP address of a name. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/**
 * Dials what a grant of `destinations` allows the holder: the address that is dialled is the one that was checked, so a name
 * whose address changes leads nowhere else. Fails with `grant-missing` (nothing is looked up where no grant could allow it)
 * or with a `target-...` code.
 */
export async function dialDestination(
  holder: Holder,
  { host, port }: { readonly host: string; readonly port: number },
  { signal, resolve = addressesOf }: { readonly signal?: AbortSignal; readonly resolve?: Resolve } = {},
): Promise<Socket> {
  const asked = holder.mayReachDestination(host, port, null);
  if (!asked.granted) throw new BackdialError('grant-missing', asked.missing);
  let failure: BackdialError | null = null;
  for (const address of isIP(host) === 0 ? await resolved(host, resolve, signal) : [host]) {
    signal?.throwIfAborted();
    const verdict = holder.mayReachDestination(host, port, address);
    try {
      if (!verdict.granted) throw new BackdialError('grant-missing', verdict.missing);
      return await openTarget({ host: address, port }, { timeoutMs: CONNECT_TIMEOUT_MS, signal });
    } catch (thrown) {
      signal?.throwIfAborted();
      const error = asBackdialError(thrown, 'internal');
      // What happened at an address that is granted says more than that another one is not.
      if (failure === null || failure.code === 'grant-missing') failure = error;
    }
  }
  throw failure ?? new BackdialError('target-unresolved', host);
}

async function resolved(host: string, resolve: Resolve, signal: AbortSignal | undefined): Promise<readonly string[]> {
  try {
    return await inTime(resolve(host), RESOLVE_TIMEOUT_MS, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw targetFailure(error, host, 'target-unresolved');
  }
}

async function addressesOf(host: string): Promise<string[]> {
  const all = await lookup(host, { all: true });
  return all.map(({ address }) => address);
}
