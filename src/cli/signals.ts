/** What the operating system asked this process to do. */
export interface Signals {
  /** Resolves with the first SIGTERM or SIGINT: drain. */
  readonly stop: Promise<void>;
  /** Resolves with the second one: end at once. */
  readonly stopNow: Promise<void>;
}

/**
 * Listens for signals for the rest of the process's life. SIGHUP calls `onHangup`; without it a SIGHUP is one more way to
 * ask for a stop, as for a program whose terminal was closed.
 */
export function watchSignals(onHangup?: () => void): Signals {
  const stop = Promise.withResolvers<void>();
  const stopNow = Promise.withResolvers<void>();
  let count = 0;
  const onStop = () => {
    count += 1;
    if (count === 1) stop.resolve();
    else stopNow.resolve();
  };
  process.on('SIGTERM', onStop);
  process.on('SIGINT', onStop);
  process.on('SIGHUP', onHangup ?? onStop);
  // Node would open its debugger to every user of this machine; to other servers this signal says that logs are to be reopened.
  process.on('SIGUSR1', () => {});
  return { stop: stop.promise, stopNow: stopNow.promise };
}

/** What is left after a forced end is cut within this, ms; then the process ends all the same. */
const FORCED_END_MS = 2_000;

/**
 * Waits for the first signal, tells `onStop`, then drains; a second signal cuts what is still open. It is cut by `close`, not by the end of the
 * process: the kernel would end every connection with a FIN, and a transfer that was cut would look complete.
 */
export async function drainOnSignal(
  signals: Signals,
  close: (options?: { drainMs: number }) => Promise<unknown>,
  onStop?: () => void,
): Promise<void> {
  await signals.stop;
  onStop?.();
  const forced = signals.stopNow.then(() => Promise.race([close({ drainMs: 0 }), forcedEnd()]));
  await Promise.race([close(), forced]);
}

function forcedEnd(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, FORCED_END_MS));
}
