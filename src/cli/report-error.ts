import { BackdialError } from '../core/errors.ts';
import { visible } from '../log/visible.ts';

/** The exit code that goes with an error: the catalogue's; 70 for what is not of the catalogue. */
export function exitCodeOf(error: unknown): number {
  return error instanceof BackdialError ? error.entry.exitCode : 70;
}

/** One line on standard error; with `stacks` also where it came from. Lines of a list keep their own line. */
export function reportError(error: unknown, stacks: boolean): void {
  const message = error instanceof Error ? error.message : String(error);
  const internal = error instanceof BackdialError ? '' : 'internal error: ';
  const lines = message.split('\n').map(visible).join('\n');
  const more = internal !== '' && !stacks ? ' (-v shows where)' : '';
  process.stderr.write(`backdial: ${internal}${lines}${more}\n`);
  if (stacks && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n${causeText(error.cause)}`);
}

function causeText(cause: unknown): string {
  return cause instanceof Error ? `caused by ${cause.stack ?? cause.message}\n` : '';
}
