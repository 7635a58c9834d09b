/** From everything to nothing; each level includes those after it. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** The least level that is written. Default `info`. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `level` made more talkative by `steps` levels, or quieter where it is negative; stops at either end. */
export function shiftLevel(level: LogLevel, steps: number): LogLevel {
  const last = LOG_LEVELS.length - 1;
  const index = Math.min(last, Math.max(0, LOG_LEVELS.indexOf(level) - steps));
  return LOG_LEVELS[index] ?? level;
}

/** True for a name of {@link LOG_LEVELS}. */
export function isLogLevel(name: string): name is LogLevel {
  return (LOG_LEVELS as readonly string[]).includes(name);
}

/** Whether what is said at `level` is written where `least` is the least level that is. */
export function includesLevel(least: LogLevel, level: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);
}
