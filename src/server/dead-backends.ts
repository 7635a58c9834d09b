import type { BackdialError } from '../core/errors.ts';
import type { Observer } from '../core/events.ts';

/** After so long it is told again. */
const PERIOD_MS = 600_000;
/** Names told in one period: in a hosts folder that may not be read, strangers choose them. */
const NAMES_PER_PERIOD = 100;

/**
 * Warns of backends beside the server that cannot be used: who visits them is told no more than of a name that nobody has, so
 * the operator has to be told what is wrong with which file or address. Of each name once in 10 minutes.
 */
export class DeadBackends {
  readonly #observer: Observer;
  readonly #told = new Set<string>();
  #since = Number.NEGATIVE_INFINITY;

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  tell(name: string, { code, message }: BackdialError): void {
    const now = performance.now();
    if (now - this.#since > PERIOD_MS) {
      this.#told.clear();
      this.#since = now;
    }
    if (this.#told.has(name) || this.#told.size >= NAMES_PER_PERIOD) return;
    this.#told.add(name);
    this.#observer({ type: 'warning', code, message: `${name}: ${message}; its visitors get alert 112` });
  }
}
