import { type LogOptions, type Logs, openLogs } from '../log/open-logs.ts';
import { type LevelFlags, logLevel } from './log-level.ts';
import { consoleOptions } from './terminal.ts';

/** Opens the logs on this process's console, at the level that flags and environment ask for; a crash loses no line. */
export function startLogs(options: LogOptions, flags: LevelFlags): Logs {
  const level = logLevel(options.level ?? 'info', flags, process.env.BACKDIAL_LOG_LEVEL);
  const logs = openLogs({ ...options, level }, consoleOptions());
  process.on('exit', logs.flushSync);
  return logs;
}
