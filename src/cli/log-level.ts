import { BackdialError } from '../core/errors.ts';
import { isLogLevel, LOG_LEVELS, type LogLevel, shiftLevel } from '../log/levels.ts';

/** `-v` and `-q` as yargs counts them. */
export interface LevelFlags {
  readonly verbose?: number;
  readonly quiet?: number;
}

/**
 * The level that is in force: BACKDIAL_LOG_LEVEL, else the configuration's, moved by each `-v` and `-q`.
 * Fails with `input-invalid`.
 */
export function logLevel(configured: LogLevel, flags: LevelFlags, variable: string | undefined): LogLevel {
  if (variable !== undefined && variable !== '' && !isLogLevel(variable)) {
    throw new BackdialError(
      'input-invalid',
      `BACKDIAL_LOG_LEVEL=${variable}: one of ${LOG_LEVELS.join(', ')} is allowed`,
    );
  }
  const base = variable === undefined || variable === '' ? configured : (variable as LogLevel);
  return shiftLevel(base, (flags.verbose ?? 0) - (flags.quiet ?? 0));
}
