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

/** Welch's t of two samples: how many standard errors their means lie apart. */
export function welchT(one: readonly number[], other: readonly number[]): number {
  const [a, b] = [momentsOf(one), momentsOf(other)];
  return (a.mean - b.mean) / Math.sqrt(a.variance / one.length + b.variance / other.length);
}

function momentsOf(values: readonly number[]): { mean: number; variance: number } {
  if (values.length < 2) throw new Error('two values at least are needed');
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, variance };
}
