/** The longest that a timer takes, ms: about 24.8 days. What is longer it takes for 1 ms. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * What a promise gives, for work that cannot be cancelled (getaddrinfo): rejects after `timeoutMs`, or with the signal's reason
 * once that is aborted. What the work gives after that is ignored.
 */
export async function inTime<T>(promise: Promise<T>, timeoutMs: number, signal?: AbortSignal): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const deadline = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  const signalOnAbort = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', signalOnAbort);
  if (signal?.aborted === true) signalOnAbort();
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(deadline);
    signal?.removeEventListener('abort', signalOnAbort);
  }
}
