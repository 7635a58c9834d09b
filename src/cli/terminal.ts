import type { ConsoleOptions } from '../log/console.ts';

/** Whether people are looking: standard output is a terminal that can do more than print (`TERM=dumb` cannot). */
export function isTerminal(): boolean {
  return process.stdout.isTTY === true && process.env.TERM !== 'dumb';
}

/** How many characters fit in a line; `usual` where the terminal does not know (a serial line and some containers say 0). */
export function terminalColumns(usual: number): number {
  return process.stdout.columns || usual;
}

/** What the console is, for the logs. */
export function consoleOptions(): ConsoleOptions {
  return { fd: 1, terminal: isTerminal() ? process.stdout : null, colors: wantsColors() };
}

/** Colours on a terminal unless NO_COLOR is set (no-color.org). */
export function wantsColors(): boolean {
  const { NO_COLOR } = process.env;
  return isTerminal() && (NO_COLOR === undefined || NO_COLOR === '');
}
