/** Each connection, and what is asked on it, has this long, ms. */
export const STEP_TIMEOUT_MS = 8_000;

/** What is looked at, in the order in which it matters. */
export type Step =
  | 'options'
  | 'proxy'
  | 'name'
  | 'tcp'
  | 'tls'
  | 'certificate'
  | 'clock'
  | 'upgrade'
  | 'secret'
  | 'http2'
  | 'target';

export type Result = 'ok' | 'warning' | 'failed' | 'skipped';

/** One line of the report. */
export interface Finding {
  /** The server, its address, the domain or the target that it is about. */
  readonly place: string;
  readonly step: Step;
  readonly result: Result;
  /** What was seen. */
  readonly message: string;
  /** What to do; null where nothing is to be done. */
  readonly advice: string | null;
}

/** Collects what is found in one place. */
export class Findings {
  readonly list: Finding[] = [];
  readonly #place: string;

  constructor(place: string) {
    this.#place = place;
  }

  ok(step: Step, message: string): void {
    this.#add(step, 'ok', message, null);
  }

  warn(step: Step, message: string, advice: string): void {
    this.#add(step, 'warning', message, advice);
  }

  fail(step: Step, message: string, advice: string): void {
    this.#add(step, 'failed', message, advice);
  }

  /** What could not be looked at, and what would make it possible. */
  skip(step: Step, message: string): void {
    this.#add(step, 'skipped', message, null);
  }

  #add(step: Step, result: Result, message: string, advice: string | null): void {
    this.list.push({ place: this.#place, step, result, message, advice });
  }
}

/** True when nothing failed; warnings and what was skipped do not count. */
export function isHealthy(findings: readonly Finding[]): boolean {
  return findings.every(({ result }) => result !== 'failed');
}
