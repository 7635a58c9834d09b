/** A test that takes longer than CI should. */
export interface Soak {
  readonly name: string;
  /** What it shows, in one sentence. */
  readonly about: string;
  /**
   * Runs it and says in a few words what was seen; fails as a test does. `scale` is 1 for the whole of it, less for a part.
   */
  run(scale: number): Promise<string>;
}

/** A number of rounds at a scale; at least one. */
export function scaled(count: number, scale: number): number {
  return Math.max(1, Math.round(count * scale));
}
