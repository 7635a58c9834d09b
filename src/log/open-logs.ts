import type { Logger } from 'pino';
import type { Observer } from '../core/events.ts';
import { createAccessLog } from './access-log.ts';
import { type ConsoleOptions, openConsole } from './console.ts';
import type { LogLevel } from './levels.ts';
import { createLogObserver } from './log-observer.ts';
import { createSystemLog } from './system-log.ts';

/** Where a log goes. */
export type LogDestination = 'console';

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
  /** Reopens files that were rotated away. */
  reopen(): void;
  /** Writes what is still held, at once. For the moment before a crash. */
  flushSync(): void;
  /** Writes what is still held; nothing can be logged afterwards. */
  close(): Promise<void>;
}

/** Opens the logs. Each destination is opened once, whoever writes to it. */
export function openLogs(options: LogOptions, console: ConsoleOptions): Logs {
  const terminal = openConsole(console);
  const system = createSystemLog((options.system ?? ['console']).length > 0 ? [terminal] : [], options.level ?? 'info');
  const access =
    (options.access ?? []).length > 0
      ? createAccessLog({ destinations: [terminal], disconnected: options.disconnected ?? false })
      : null;
  return {
    system,
    observer: createLogObserver({ system, access }),
    reopen: terminal.reopen,
    flushSync: terminal.flushSync,
    close: terminal.close,
  };
}
