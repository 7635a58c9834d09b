import { closeSync, openSync, readFileSync } from 'node:fs';

const LIMIT_LIFETIME_MS = 1_000;

let limit = 0;
let readAt = Number.NEGATIVE_INFINITY;

/** How many descriptors this process may have; it can be changed from outside. Infinity where the system does not tell. */
export function descriptorLimit(): number {
  if (performance.now() - readAt < LIMIT_LIFETIME_MS) return limit;
  readAt = performance.now();
  limit = readLimit();
  return limit;
}

/**
 * How many more descriptors this process may open, at most. The system gives the lowest free number: all below it are in use. A
 * few microseconds, however many are open.
 */
export function descriptorsLeft(): number {
  try {
    const lowestFree = openSync('/dev/null', 'r');
    closeSync(lowestFree);
    return descriptorLimit() - lowestFree;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EMFILE' || code === 'ENFILE' ? 0 : Number.POSITIVE_INFINITY;
  }
}

function readLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Without a free descriptor the file cannot be opened: what was read before holds.
    return code === 'EMFILE' || code === 'ENFILE' ? limit : Number.POSITIVE_INFINITY;
  }
}
