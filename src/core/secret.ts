import { createHash, timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';
import { BackdialError } from './errors.ts';

const REDACTED = '[redacted]';

/** A credential that does not show itself: `toString`, `toJSON` and `inspect` print `[redacted]`. */
export class Secret {
  readonly #value: string;

  /** Fails with `input-invalid` where `value` is no string. */
  constructor(value: string) {
    if (typeof value !== 'string') throw new BackdialError('input-invalid', 'a Secret is made of a string');
    this.#value = value;
  }

  /** The credential itself, for the one place that must send or check it. */
  reveal(): string {
    return this.#value;
  }

  /** True when `candidate` is the same credential; takes the same time whether or not, and whatever the lengths. */
  equals(candidate: string): boolean {
    return timingSafeEqual(digest(this.#value), digest(candidate));
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

function digest(value: string): Buffer {
  return createHash('sha256').update(value, 'utf8').digest();
}
