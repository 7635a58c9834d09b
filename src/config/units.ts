import { LONGEST_TIMER_MS } from '../core/in-time.ts';

const SIZES: Readonly<Record<string, number>> = {
  k: 1_000,
  M: 1_000 ** 2,
  G: 1_000 ** 3,
  kB: 1_024,
  MB: 1_024 ** 2,
  GB: 1_024 ** 3,
};

const DURATIONS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Bytes of `"64kB"` (k, M, G: 1000; kB, MB, GB: 1024) or 0. Null for anything else: a bare number has no unit. */
export function parseSize(value: unknown): number | null {
  return parseUnit(value, SIZES, Number.MAX_SAFE_INTEGER);
}

/** Milliseconds of `"65s"` (ms, s, m, h, d) or 0. Null for anything else, and beyond {@link LONGEST_TIMER_MS}. */
export function parseDuration(value: unknown): number | null {
  return parseUnit(value, DURATIONS, LONGEST_TIMER_MS);
}

function parseUnit(value: unknown, units: Readonly<Record<string, number>>, most: number): number | null {
  if (value === 0 || value === '0') return 0;
  if (typeof value !== 'string') return null;
  const match = /^(\d{1,16}) ?([A-Za-z]{1,2})$/.exec(value);
  const unit = match?.[2];
  if (match === null || unit === undefined || !Object.hasOwn(units, unit)) return null;
  const amount = Number(match[1]) * (units[unit] ?? 0);
  return amount <= most ? amount : null;
}
