import type { LogSettings } from '../config/log-settings.ts';
import { sameValue } from '../core/same-value.ts';
import type { AppliedChange, ApplyResult } from '../index.ts';
import type { Logs } from '../log/open-logs.ts';
import type { LevelFlags } from './log-level.ts';
import { withLevel } from './start-logs.ts';

/** What of a configuration concerns the program itself: its logs, and the folder where it keeps what outlives it. */
export interface ProgramConfig {
  readonly log: LogSettings;
  readonly state: string;
}

/** Follows those as server and agent follow the rest. */
export class ProgramSettings {
  readonly #logs: Logs;
  readonly #flags: LevelFlags;
  readonly #state: string;
  #log: LogSettings;

  constructor({ log, state }: ProgramConfig, logs: Logs, flags: LevelFlags) {
    this.#logs = logs;
    this.#flags = flags;
    this.#log = log;
    this.#state = state;
  }

  /** Goes over to them; gives the result of the rest with what changed here. */
  async apply({ log, state }: ProgramConfig, rest: ApplyResult): Promise<ApplyResult> {
    const changes: AppliedChange[] = [];
    if (!sameValue(this.#log, log)) {
      await this.#logs.apply(withLevel(log, this.#flags));
      this.#log = log;
      changes.push({ what: 'option', key: 'log' });
    }
    const fixed = state === this.#state ? [] : ['state'];
    return {
      changes: [...rest.changes, ...changes],
      restartRequired: [...rest.restartRequired, ...fixed],
      failures: rest.failures,
    };
  }
}
