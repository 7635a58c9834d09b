import { type LogOptions, type Logs, openLogs } from '../log/open-logs.ts';
import { type LevelFlags, logLevel } from './log-level.ts';
import { consoleOptions } from './terminal.ts';

/** Opens the logs on this process's console, at the level that flags and environment ask for; a crash loses no line. */
export function startLogs(options: LogOptions, flags: LevelFlags): Logs {
  const logs = openLogs(withLevel(options, flags), consoleOptions());
  process.on('exit', logs.flushSync);
  return logs;
}

/** At the level that flags and environment ask for, whatever is configured. */
export function withLevel(options: LogOptions, flags: LevelFlags): LogOptions {
  return { ...options, level: logLevel(options.level ?? 'info', flags, process.env.BACKDIAL_LOG_LEVEL) };
}
