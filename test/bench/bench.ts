import { type Spread, spread } from './statistics.ts';

/** How long and how often a bench measures. */
export interface BenchSettings {
  /** Rounds; in each, every system is measured once, one after the other. */
  readonly rounds: number;
  /** Length of one load, seconds. */
  readonly seconds: number;
  /** Size of one transfer, bytes. */
  readonly transferBytes: number;
}

/** What is required of a figure; from the project's own issue, never an absolute speed of a machine. */
export type Limit = { readonly atMost: number } | { readonly atLeast: number };

/** One figure of a bench, over all rounds. */
export interface Figure {
  /** Which system, or which two are compared. */
  readonly subject: string;
  readonly quantity: string;
  readonly unit: string;
  readonly spread: Spread;
  /** Judged against the median; a figure without a limit informs. */
  readonly limit?: Limit;
}

/** One entry of `npm run bench`. */
export interface Bench {
  readonly name: string;
  readonly title: string;
  /** Programs that it cannot do without, by name. */
  readonly tools: readonly string[];
  run(settings: BenchSettings): Promise<Figure[]>;
}

/** Makes a figure of the values of all rounds. */
export function figure(
  subject: string,
  quantity: string,
  unit: string,
  values: readonly number[],
  limit?: Limit,
): Figure {
  return { subject, quantity, unit, spread: spread(values), ...(limit === undefined ? {} : { limit }) };
}

/** Null where the figure has no limit. */
export function passes({ limit, spread: { median } }: Figure): boolean | null {
  if (limit === undefined) return null;
  return 'atMost' in limit ? median <= limit.atMost : median >= limit.atLeast;
}
