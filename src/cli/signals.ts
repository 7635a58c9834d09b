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
  return { stop: stop.promise, stopNow: stopNow.promise };
}
