/** Generous on purpose: tests run on loaded machines. Only what an issue names a time for is given a shorter one. */
const DEFAULT_DEADLINE_MS = 60_000;

/** The promise's value; fails, naming `what`, when it has not settled `deadlineMs` after the call. */
export async function within<T>(what: string, promise: Promise<T>, deadlineMs = DEFAULT_DEADLINE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until `condition` holds. For states that announce themselves by no event. */
export async function eventually(
  what: string,
  condition: () => boolean,
  deadlineMs = DEFAULT_DEADLINE_MS,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
