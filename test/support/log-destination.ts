import type { Destination } from '../../src/log/destination.ts';

/** A log destination that keeps what it was given. */
export interface Kept extends Destination {
  readonly lines: string[];
  /** Each line as an object. */
  records(): Record<string, unknown>[];
}

/** Makes a destination for machines, or for people. */
export function keepLines(people = false): Kept {
  const lines: string[] = [];
  return {
    people,
    dropped: 0,
    lines,
    write: (line) => void lines.push(line),
    records: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
    reopen: () => {},
    flushSync: () => {},
    close: () => Promise.resolve(),
  };
}
