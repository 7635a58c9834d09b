import type { ApiSettings } from '../config/api-settings.ts';
import type { LogSettings } from '../config/log-settings.ts';
import { sameValue } from '../core/same-value.ts';
import type { AppliedChange, ApplyResult } from '../index.ts';
import type { Logs } from '../log/open-logs.ts';
import type { LevelFlags } from './log-level.ts';
import type { ProgramApi } from './program-api.ts';
import { withLevel } from './start-logs.ts';

/** What of a configuration concerns the program itself: its logs, its API, and the folder where it keeps what outlives it. */
export interface ProgramConfig {
  readonly log: LogSettings;
  readonly state: string;
  readonly api: ApiSettings | null;
}

/** What follows them. */
export interface ProgramParts {
  readonly logs: Logs;
  readonly flags: LevelFlags;
  readonly api: ProgramApi;
}

/** Follows those as server and agent follow the rest. */
export class ProgramSettings {
  readonly #parts: ProgramParts;
  readonly #state: string;
  #log: LogSettings;

  constructor({ log, state }: Pick<ProgramConfig, 'log' | 'state'>, parts: ProgramParts) {
    this.#parts = parts;
    this.#log = log;
    this.#state = state;
  }

  /** The files that are logged to. */
  get logFiles(): readonly string[] {
    const { system, access } = this.#log;
    return [...system, ...access].flatMap((each) => (each !== 'console' && 'file' in each ? [each.file] : []));
  }

  /**
   * Goes over to them, once `applyRest` went over to the rest; gives what came of both. Where the API gave up an address for
   * which the rest waits, the rest is tried once more.
   */
  async apply({ log, state, api }: ProgramConfig, applyRest: () => Promise<ApplyResult>): Promise<ApplyResult> {
    const rest = await applyRest();
    const changes: AppliedChange[] = [];
    const { logs, flags } = this.#parts;
    if (!sameValue(this.#log, log)) {
      await logs.apply(withLevel(log, flags));
      this.#log = log;
      changes.push({ what: 'option', key: 'log' });
    }
    const { changed, failures } = await this.#parts.api.apply(api);
    if (changed) changes.push({ what: 'option', key: this.#parts.api.key });
    const isFreed = changed && rest.failures.length > 0;
    const { failures: left } = isFreed ? await applyRest() : rest;
    const fixed = state === this.#state ? [] : ['state'];
    return {
      changes: [...rest.changes, ...changes],
      restartRequired: [...rest.restartRequired, ...fixed],
      failures: [...left, ...failures],
    };
  }
}
