import type { BackdialError } from './errors.ts';

/** One difference that is in force now. */
export type AppliedChange =
  | { readonly what: 'option'; readonly key: string }
  | { readonly what: 'domain'; readonly action: 'added' | 'removed'; readonly name: string }
  | {
      readonly what: 'domain';
      readonly action: 'changed';
      readonly name: string;
      /** Which of its options. */
      readonly keys: readonly string[];
    };

/** What came of applying other options to what runs. */
export interface ApplyResult {
  /** In force now; none where the options said the same. */
  readonly changes: readonly AppliedChange[];
  /** Options that take a restart; what runs goes on with the old ones. */
  readonly restartRequired: readonly string[];
  /** What could not be done (`listen-failed`); everything else was. It is tried again with the next `apply`. */
  readonly failures: readonly BackdialError[];
}
