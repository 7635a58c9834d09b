import { AsyncLocalStorage } from 'node:async_hooks';

/** Generous on purpose: tests run on loaded machines. Only what an issue names a time for is given a shorter one. */
const DEFAULT_DEADLINE_MS = 60_000;

const given = new AsyncLocalStorage<number>();
const defaultDeadlineMs = () => given.getStore() ?? DEFAULT_DEADLINE_MS;

/** Runs `body` with another default deadline for what it waits for. */
export function withDeadline<T>(deadlineMs: number, body: () => Promise<T>): Promise<T> {
  return given.run(deadlineMs, body);
}

/** The promise's value; fails, naming `what`, when it has not settled `deadlineMs` after the call. */
export async function within<T>(what: string, promise: Promise<T>, deadlineMs = defaultDeadlineMs()): Promise<T> {
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
  deadlineMs = defaultDeadlineMs(),
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
