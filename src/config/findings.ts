import { ConfigFiles } from './config-files.ts';
import type { Problem } from './problems.ts';
import type { FileRead } from './read-file.ts';

/** What a configuration is made of; a change of any of them may change it. */
export interface ConfigSources {
  readonly files: readonly string[];
  /** Folders of domains. */
  readonly folders: readonly string[];
}

/** What is found while a configuration is read: everything, not only the first. And of which files it was made. */
export class Findings {
  readonly #files: ConfigFiles;
  readonly #order = new Map<string, number>();
  readonly #problems: Problem[] = [];
  readonly #warnings: Problem[] = [];
  readonly #reads = new Map<string, FileRead>();
  readonly #folders = new Set<string>();

  /** `files`: those of the load before, which need not be read again. */
  constructor(files: ConfigFiles = new ConfigFiles()) {
    this.#files = files;
  }

  problem(problem: Problem): void {
    this.#add(this.#problems, problem);
  }

  warn(warning: Problem): void {
    this.#add(this.#warnings, warning);
  }

  /** By file, in the order in which files were first mentioned, then by place. */
  get problems(): readonly Problem[] {
    return this.#sorted(this.#problems);
  }

  /** Sorted as {@link problems}. */
  get warnings(): readonly Problem[] {
    return this.#sorted(this.#warnings);
  }

  /** Every file and folder that was looked at, those that are missing included. */
  get sources(): ConfigSources {
    return { files: [...this.#reads.keys()], folders: [...this.#folders] };
  }

  /** Fixes the order of a file that may be mentioned later than another. */
  mention(file: string): void {
    if (!this.#order.has(file)) this.#order.set(file, this.#order.size);
  }

  /** Reads a file that the configuration depends on; see `readTextFile`. */
  async read(file: string): Promise<FileRead> {
    const read = await this.#files.read(file);
    this.#reads.set(file, read);
    return read;
  }

  /** The configuration depends on which files a folder has. */
  usesFolder(folder: string): void {
    this.#folders.add(folder);
  }

  /** What `make` makes of a file, with what it finds; as it was, where the file and all that it names have not changed. */
  async once<T>(file: string, make: (own: Findings) => Promise<T>): Promise<T> {
    let made = await this.#files.recall<T>(file);
    if (made === null) {
      const own = new Findings(this.#files);
      const value = await make(own);
      made = { value, reads: own.#reads, problems: own.#problems, warnings: own.#warnings };
      this.#files.keep(file, made);
    }
    for (const problem of made.problems) this.problem(problem);
    for (const warning of made.warnings) this.warn(warning);
    for (const [path, read] of made.reads) this.#reads.set(path, read);
    return made.value;
  }

  #add(list: Problem[], entry: Problem): void {
    this.mention(entry.file);
    list.push(entry);
  }

  #sorted(list: readonly Problem[]): readonly Problem[] {
    const at = ({ file }: Problem) => this.#order.get(file) ?? 0;
    return list.toSorted((a, b) => at(a) - at(b) || a.line - b.line || a.column - b.column);
  }
}
