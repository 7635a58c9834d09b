import { setTimeout as sleep } from 'node:timers/promises';
import type { Logs } from '../log/open-logs.ts';
import { visible } from '../log/visible.ts';

/** What is open has this long after a fault that nobody caught, ms: its state is not to be trusted any longer. */
const CRASH_DRAIN_MS = 1_000;
/** The same until the process ends whatever happens. */
const CRASH_END_MS = 2_500;

export type CrashHandler = (error: unknown, origin: NodeJS.UncaughtExceptionOrigin) => Promise<void>;

let handler: CrashHandler | null = null;

/** What is to be done about a fault that nobody caught, before the process ends; null: nothing, it ends at once. */
export function crashHandler(): CrashHandler | null {
  return handler;
}

/**
 * From now on a fault that nobody caught is logged with where it came from, and what is open is drained for a second. The
 * line has no values of variables, so no secret: message and stack are those of the error.
 */
export function drainOnCrash(logs: Logs, close: (options: { drainMs: number }) => Promise<unknown>): void {
  let crashed = false;
  handler = async (error, origin) => {
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
    const fields = { event: 'crash', origin, error: name, stack: stack ?? '', uptimeMs: Math.round(performance.now()) };
    const what =
      origin === 'unhandledRejection' ? 'a rejection that nobody handled' : 'an exception that nobody caught';
    logs.system.fatal(fields, `${what}: ${visible(message)}; draining for ${CRASH_DRAIN_MS} ms, then exit 70`);
    // The first one decides; what the drain of a broken state brings up is only logged.
    if (crashed) return new Promise(() => {});
    crashed = true;
    await Promise.race([close({ drainMs: CRASH_DRAIN_MS }).catch(() => {}), sleep(CRASH_END_MS)]);
    logs.flushSync();
  };
}
