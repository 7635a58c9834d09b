/** Median with its range; the range is printed beside it, so that a reader sees how much a figure moves. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Fails on no values at all: a bench that measured nothing must not look like one that passed. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error('no values were measured');
  const sorted = [...values].sort((one, other) => one - other);
  const at = (index: number): number => sorted[index] as number;
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { median, min: at(0), max: at(sorted.length - 1) };
}
