import { BackdialError } from './errors.ts';
import { LONGEST_TIMER_MS } from './in-time.ts';
import { object, whole } from './shape.ts';

/** How `close` ends what is open. */
export interface CloseOptions {
  /** Starts with the call; what is open then is cut, ms. Default: the option's; 0: at once. */
  readonly drainMs?: number;
}

const closeShape = object<CloseOptions>({ drainMs: whole(0, LONGEST_TIMER_MS) });

/** The time that `close` was given, or else `usual`. Fails with `config-invalid`: nobody has checked its types for JavaScript. */
export function drainMsOf(given: CloseOptions, usual: number): number {
  const problems = closeShape(given, '');
  if (problems.length > 0) throw new BackdialError('config-invalid', problems.join('; '));
  return given.drainMs ?? usual;
}
