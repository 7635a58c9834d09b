import type { Destination, LogName } from './destination.ts';
import { visibleJson } from './visible.ts';

/** How pino is asked to leave a line's level in `lastLevel`. */
const WANTS_LEVEL: unique symbol = Symbol.for('pino.metadata') as never;

/** The one stream of a pino logger: gives each line, made safe, to every destination. These may change at any time. */
export class FanOut {
  readonly [WANTS_LEVEL] = true;
  /** Set by pino before each {@link write}. */
  lastLevel = 30;
  destinations: readonly Destination[];
  readonly #log: LogName;

  constructor(log: LogName, destinations: readonly Destination[]) {
    this.#log = log;
    this.destinations = destinations;
  }

  write(line: string): void {
    if (this.destinations.length === 0) return;
    const safe = visibleJson(line);
    for (const destination of this.destinations) destination.write(safe, this.lastLevel, this.#log);
  }
}
