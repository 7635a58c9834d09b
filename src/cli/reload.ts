import type { ConfigSources } from '../config/findings.ts';
import type { Loaded } from '../config/loaded.ts';
import { formatProblem, type Problem } from '../config/problems.ts';
import { ConfigWatch } from '../config/watch.ts';
import type { ApplyResult } from '../index.ts';
import type { Logs } from '../log/open-logs.ts';
import { visible } from '../log/visible.ts';
import type { ConfigRecord } from './config-record.ts';
import { logApplied } from './reload-report.ts';

/** A change that is found to be invalid is looked at again after this, ms, before that is said: its writer may not be done. */
const SECOND_LOOK_MS = 1_000;

/** Why the configuration is looked at: something changed, a problem was found just now, or SIGHUP. */
type Cause = 'change' | 'second-look' | 'signal';

export interface ReloadOptions<Config> {
  readonly logs: Logs;
  /** Reads all of it. */
  load(): Promise<Loaded<Config>>;
  /** Goes over to it. Fails with a BackdialError, and then everything is as it was. */
  apply(config: Config): Promise<ApplyResult>;
  /** The key of a file that an option comes from. */
  keyOf(option: string): string;
  /** Told what came of each look at the files. */
  readonly record?: Pick<ConfigRecord, 'applied' | 'refused'>;
}

/**
 * Keeps what runs in step with its files: by watching them, and at SIGHUP. What is invalid is logged with its position, and
 * the old stays in force; nothing is ever half applied.
 */
export class Reloader<Config> {
  readonly #options: ReloadOptions<Config>;
  readonly #watch: ConfigWatch;
  #running: Promise<void> = Promise.resolve();
  /** One look at all files answers every wish for one that came before it began. */
  #waiting: Cause | null = null;
  #secondLook: NodeJS.Timeout | undefined;
  /** What was said last of problems and warnings, so that it is said once. */
  #said = '';
  /** Whether the last word was that what was in force before stays. */
  #stays = false;
  #closed = false;

  constructor(options: ReloadOptions<Config>) {
    this.#options = options;
    this.#watch = new ConfigWatch({
      onChange: () => this.#look('change'),
      onError: (error) =>
        options.logs.system.warn(
          { event: 'config-watch', error: error.message },
          `changes of the configuration may go unseen: ${error.message}; SIGHUP makes it be read again`,
        ),
    });
  }

  /** Begins to watch, from what was loaded at the start. */
  async start({ sources, warnings }: Pick<Loaded<Config>, 'sources' | 'warnings'>): Promise<void> {
    this.#said = textOf(warnings);
    // A signal may come meanwhile: one after the other.
    this.#running = this.#running.then(() => this.#follow(sources));
    await this.#running;
  }

  /** Reads everything again now, and opens the logs anew; resolves when that is over. For SIGHUP. */
  readonly hangup = (): Promise<void> => {
    this.#options.logs.reopen();
    this.#look('signal');
    return this.#running;
  };

  /** Looks no more; resolves when what is under way is over. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#secondLook);
    await this.#watch.close();
    await this.#running;
  }

  #look(cause: Cause): void {
    clearTimeout(this.#secondLook);
    if (this.#waiting !== null) {
      // Whoever asked by a signal is answered.
      if (cause === 'signal') this.#waiting = cause;
      return;
    }
    this.#waiting = cause;
    this.#running = this.#running.then(() => this.#reload());
  }

  async #reload(): Promise<void> {
    const cause = this.#waiting ?? 'change';
    this.#waiting = null;
    if (this.#closed) return;
    const { logs, load, apply, keyOf } = this.#options;
    try {
      const began = performance.now();
      const loaded = await load();
      // It ends: there is nothing left to go over to.
      if (this.#closed) return;
      try {
        if (!loaded.ok) this.#refuse(loaded.problems, cause);
        else {
          this.#warn(loaded.warnings);
          const result = await apply(loaded.config);
          this.#options.record?.applied(result);
          if (this.#stays) logs.system.info({ event: 'config-valid' }, 'the configuration has no problem any more');
          this.#stays = false;
          const tookMs = Math.round(performance.now() - began);
          logApplied(logs.system, result, { keyOf, tookMs, asked: cause === 'signal' });
        }
      } finally {
        // Also of what could not be applied: it may be put right in a file that was not there before.
        await this.#follow(loaded.sources);
      }
    } catch (error) {
      // What closes takes no change: that is no fault of the files.
      if (this.#closed) return;
      const message = error instanceof Error ? error.message : String(error);
      this.#options.record?.refused();
      this.#stays = true;
      logs.system.error({ event: 'config-refused' }, `${visible(message)}; what was in force before stays`);
    }
  }

  #refuse(problems: readonly Problem[], cause: Cause): void {
    if (cause === 'change') {
      this.#secondLook = setTimeout(() => this.#look('second-look'), SECOND_LOOK_MS);
      this.#secondLook.unref();
      return;
    }
    this.#options.record?.refused();
    const text = textOf(problems);
    if (cause !== 'signal' && text === this.#said) return;
    this.#said = text;
    this.#stays = true;
    const { system } = this.#options.logs;
    for (const problem of problems) {
      system.error({ event: 'config-problem', ...placeOf(problem) }, visible(formatProblem(problem)));
    }
    const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
    system.error({ event: 'config-refused' }, `the configuration has ${count}; what was in force before stays`);
  }

  #warn(warnings: readonly Problem[]): void {
    const text = textOf(warnings);
    if (text === this.#said) return;
    this.#said = text;
    for (const warning of warnings) {
      const fields = { event: 'config-warning', ...placeOf(warning) };
      this.#options.logs.system.warn(fields, visible(formatProblem(warning)));
    }
  }

  async #follow(sources: ConfigSources): Promise<void> {
    if (!this.#closed) await this.#watch.follow(sources);
  }
}

function textOf(problems: readonly Problem[]): string {
  return problems.map(formatProblem).join('\n');
}

/** Not `key`: that is a name under which the log shows nothing. */
function placeOf({ file, line, column, key }: Problem) {
  return { file, line, column, setting: key };
}
