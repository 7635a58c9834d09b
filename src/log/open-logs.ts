import type { Logger } from 'pino';
import type { Observer } from '../core/events.ts';
import type { LogDestination } from '../core/log-destination.ts';
import { type AccessLog, createAccessLog } from './access-log.ts';
import { type ConsoleOptions, openConsole } from './console.ts';
import type { Destination, DestinationReport } from './destination.ts';
import { FanOut } from './fan-out.ts';
import type { LogLevel } from './levels.ts';
import { createLogObserver } from './log-observer.ts';
import { openDestination } from './open-destination.ts';
import { createSystemLog } from './system-log.ts';

/** What is logged, and where. */
export interface LogOptions {
  /** Least level of the system log. Default `info`. */
  readonly level?: LogLevel;
  /** Default: the console. */
  readonly system?: readonly LogDestination[];
  /** Default: none. */
  readonly access?: readonly LogDestination[];
  /** Whether the access log has requests to domains that nobody serves. Default false. */
  readonly disconnected?: boolean;
}

/** The two logs of a process. */
export interface Logs {
  readonly system: Logger;
  /** For `createServer` and `createAgent`. */
  readonly observer: Observer;
  /** Lines that no destination took, since the start. */
  readonly dropped: number;
  /** Follows other options from the next line on; what both name stays open. Resolves when the rest has closed. */
  apply(options: LogOptions): Promise<void>;
  /** Reopens files that were rotated away, and connections to receivers. */
  reopen(): void;
  /** Writes what is still held, at once. For the moment before a crash. */
  flushSync(): void;
  /** Writes what is still held, for a bounded time; nothing can be logged afterwards. */
  close(): Promise<void>;
}

/**
 * Opens the logs. Each destination is opened once, whoever writes to it. A destination that fails stops nobody: that is said
 * in the system log, on the console too, and so is how many lines were dropped.
 */
export function openLogs(options: LogOptions, console: ConsoleOptions): Logs {
  const terminal = openConsole(console, (state) => report('the console', state));
  const open = new Map<string, Destination>([[keyOf('console'), terminal]]);
  const toSystem = new FanOut('system', []);
  const system = createSystemLog(toSystem, 'info');
  const onConsole = createSystemLog(new FanOut('system', [terminal]), 'info');
  let access: AccessLog | null = null;
  let droppedBefore = 0;

  function report(where: string, { state, dropped, error }: DestinationReport): void {
    const level = state === 'failing' ? 'error' : 'warn';
    const fields = { event: 'log-destination', destination: where, state, dropped };
    const text = `the log to ${where} ${wordsOf({ state, dropped, error })}`;
    system[level](fields, text);
    // Who is to read that a log fails cannot depend on logs alone.
    if (!toSystem.destinations.includes(terminal) && system.level !== 'silent') onConsole[level](fields, text);
  }

  function destinations(settings: readonly LogDestination[]): Destination[] {
    const keys = new Map(settings.map((each) => [keyOf(each), each]));
    return Array.from(keys, ([key, each]) => {
      const known = each === 'console' ? terminal : open.get(key);
      const destination = known ?? openDestination(each as Exclude<LogDestination, 'console'>, report);
      open.set(key, destination);
      return destination;
    });
  }

  async function apply(next: LogOptions): Promise<void> {
    const forSystem = destinations(next.system ?? ['console']);
    const forAccess = destinations(next.access ?? []);
    const disconnected = next.disconnected ?? false;
    toSystem.destinations = forSystem;
    system.level = next.level ?? 'info';
    access = forAccess.length > 0 ? createAccessLog({ destinations: forAccess, disconnected }) : null;
    const used = new Set([terminal, ...forSystem, ...forAccess]);
    const unused = Array.from(open).filter(([, destination]) => !used.has(destination));
    for (const [key] of unused) open.delete(key);
    await Promise.all(unused.map(([, destination]) => destination.close()));
    for (const [, { dropped }] of unused) droppedBefore += dropped;
  }

  void apply(options);
  return {
    system,
    observer: createLogObserver({ system, access: { write: (record) => access?.write(record) } }),
    get dropped() {
      return Array.from(open.values()).reduce((sum, { dropped }) => sum + dropped, droppedBefore);
    },
    apply,
    reopen: () => {
      for (const destination of open.values()) destination.reopen();
    },
    flushSync: () => {
      for (const destination of open.values()) destination.flushSync();
    },
    async close() {
      const others = new Set(open.values());
      others.delete(terminal);
      // The console last: it is told what the others could not write.
      await Promise.all(Array.from(others, (destination) => destination.close()));
      await terminal.close();
    },
  };
}

function keyOf(settings: LogDestination): string {
  return JSON.stringify(settings);
}

function wordsOf({ state, dropped, error }: DestinationReport): string {
  const lines = dropped === 1 ? 'one line was dropped' : `${dropped} lines were dropped`;
  switch (state) {
    case 'failing':
      return `fails: ${error?.message}; lines wait in memory, up to a bound, and it is tried again each second`;
    case 'working':
      return dropped === 0 ? 'works again; no line was dropped' : `takes lines again; ${lines}`;
    case 'closed':
      return `was closed before it took every line: ${lines}`;
    case 'hint':
      return `goes on, but: ${error?.message}`;
  }
}
