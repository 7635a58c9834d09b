/** A test that takes longer than CI should. */
export interface Soak {
  readonly name: string;
  /** What it shows, in one sentence. */
  readonly about: string;
  /** Names of its cases, where it has some: any of them can be run without the others. */
  readonly cases?: readonly string[];
  /** Runs it and says in a few words what was seen; fails as a test does. */
  run(options: SoakOptions): Promise<string>;
}

export interface SoakOptions {
  /** 1 for the whole of it, less for a part. */
  readonly scale: number;
  /** The cases to run, of those that the soak has. */
  readonly cases: readonly string[];
}

/** A number of rounds at a scale; at least one. */
export function scaled(count: number, scale: number): number {
  return Math.max(1, Math.round(count * scale));
}

/** The cases that `filter` means: all whose name has each of its words. */
export function matchingCases(cases: readonly string[], filter: string): readonly string[] {
  const words = filter.split(/\s+/);
  return cases.filter((name) => words.every((word) => name.split(' ').includes(word)));
}
