import { dirname, join, resolve } from 'node:path';
import type { ConfigFiles } from './config-files.ts';
import { type ConfigSources, Findings } from './findings.ts';
import type { Problem } from './problems.ts';

/** What came of loading a configuration: all of it, or every problem of every file. */
export type Loaded<T> = LoadedParts &
  ({ readonly ok: true; readonly config: T } | { readonly ok: false; readonly problems: readonly Problem[] });

interface LoadedParts {
  readonly warnings: readonly Problem[];
  /** What was read, also where a problem was found. */
  readonly sources: ConfigSources;
}

/** What a configuration does not say itself. */
export interface LoadOptions {
  /** `$STATE_DIRECTORY` as systemd sets it: folders separated by colons. Default: none. */
  readonly stateDirectory?: string | undefined;
  /** Files of the load before: what did not change is not read again. Default: none. */
  readonly files?: ConfigFiles;
  /**
   * Log files that are in force already, absolute. One that cannot be written any more is a warning: what broke is no fault of
   * the configuration, and must not keep the rest of it from being followed. Default: none.
   */
  readonly logFiles?: readonly string[];
}

/** Runs one load. */
export async function withFiles<T>({ files }: LoadOptions, load: (findings: Findings) => Promise<T>): Promise<T> {
  files?.begin();
  try {
    return await load(new Findings(files));
  } finally {
    files?.end();
  }
}

/** The outcome where nothing can be made of the main file. */
export function failed({ problems, warnings, sources }: Findings) {
  return { ok: false as const, problems, warnings, sources };
}

/** The outcome once everything was read: `config` counts only where nothing was found. */
export function loaded<T>(findings: Findings, config: T): Loaded<T> {
  const { problems, warnings, sources } = findings;
  return problems.length === 0 ? { ok: true, config, warnings, sources } : failed(findings);
}

/** The folder for what must outlive a restart, absolute: as configured, else `$STATE_DIRECTORY`, else `state` beside the file. */
export function stateFolder(file: string, state: string | undefined, options: LoadOptions): string {
  if (state !== undefined) return resolve(dirname(file), state);
  const [given = ''] = (options.stateDirectory ?? '').split(':');
  return given === '' ? resolve(join(dirname(file), 'state')) : resolve(given);
}

/** The entries of `given` that are not `undefined`, under other names. */
export function renamed<T extends object, N extends Readonly<Record<string, keyof T>>>(
  given: T,
  names: N,
): { [K in keyof N]?: Exclude<T[N[K]], undefined> } {
  const entries = Object.entries(names).flatMap(([to, from]) => (given[from] === undefined ? [] : [[to, given[from]]]));
  return Object.fromEntries(entries);
}

/** What is said where no domain is active. */
export function noneActive(inactive: readonly string[]): string {
  const [first] = inactive;
  const what =
    first === undefined
      ? 'the folder of domains has no file such as www.example.com.json5'
      : `set \`active: true\` in the file of one, such as ${first}`;
  return `no domain is active: nothing is served; ${what}`;
}
