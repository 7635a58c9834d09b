import { spawn } from 'node:child_process';

/** A message must not hold up the next one for longer. */
const SEND_TIMEOUT_MS = 5_000;

/** Tells a service manager how the program is (sd_notify); does nothing where there is none. Never fails. */
export interface ServiceManager {
  /** The start is complete. */
  ready(): void;
  /** A reload began; it is over when `done` settles. */
  reloading(done: Promise<unknown>): void;
  /** The drain began. */
  stopping(): void;
  /** Sends nothing more; resolves when what was to be sent is on its way: a program that ends at once says so, too. */
  close(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The manager that `NOTIFY_SOCKET` names. Node has no Unix datagram sockets, so that messages go through `systemd-notify`, a
 * process each (units need `NotifyAccess=all`), one after the other. With `WATCHDOG_USEC` it says that the event loop still
 * turns, twice in that time.
 */
export function serviceManager(env: Environment): ServiceManager {
  if ((env.NOTIFY_SOCKET ?? '') === '') return NONE;
  let sending = Promise.resolve();
  let waiting = 0;
  let closed = false;
  const send = (...assignments: string[]): void => {
    if (closed) return;
    waiting += 1;
    sending = sending
      .then(() => notify(assignments))
      .finally(() => {
        waiting -= 1;
      });
  };
  // Where messages are slow, the one that is under way says as much as one more would.
  const watchdog = startWatchdog(env, () => {
    if (waiting === 0) send('WATCHDOG=1');
  });
  return {
    ready: () => send('READY=1', 'STATUS=serving'),
    reloading: (done) => {
      // The manager ignores what says READY=1 before this moment of its own clock.
      send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`, 'STATUS=reloading');
      const over = () => send('READY=1', 'STATUS=serving');
      done.then(over, over);
    },
    stopping: () => send('STOPPING=1', 'STATUS=draining'),
    close: () => {
      closed = true;
      clearInterval(watchdog);
      return sending;
    },
  };
}

const NONE: ServiceManager = { ready() {}, reloading() {}, stopping() {}, close: () => Promise.resolve() };

function startWatchdog(env: Environment, beat: () => void): NodeJS.Timeout | undefined {
  const periodUs = Number(env.WATCHDOG_USEC ?? '');
  const mine = env.WATCHDOG_PID === undefined || Number(env.WATCHDOG_PID) === process.pid;
  if (!(periodUs > 0) || !mine) return undefined;
  const timer = setInterval(beat, Math.max(1, periodUs / 2_000));
  timer.unref();
  return timer;
}

function notify(assignments: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn('systemd-notify', assignments, { stdio: 'ignore', timeout: SEND_TIMEOUT_MS });
    // Without the program there is nobody to tell, and nothing to be done about it.
    child.on('error', () => resolve());
    child.on('close', () => resolve());
  });
}
