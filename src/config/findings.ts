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
  /** The main file, whose findings come first. */
  #first: string | null = null;
  readonly #problems: Problem[] = [];
  readonly #warnings: Problem[] = [];
  /** Only where something is made of them that is to be remembered. */
  readonly #reads: Map<string, FileRead> | null;
  readonly #folders = new Set<string>();

  /** `files`: those of the load before, which need not be read again. `reads` is told of every file that is read. */
  constructor(files: ConfigFiles = new ConfigFiles(), reads: Map<string, FileRead> | null = null) {
    this.#files = files;
    this.#reads = reads;
  }

  problem(problem: Problem): void {
    this.#problems.push(problem);
  }

  warn(warning: Problem): void {
    this.#warnings.push(warning);
  }

  /** By file, the main one first, then by name; then by place. */
  get problems(): readonly Problem[] {
    return this.#sorted(this.#problems);
  }

  /** Sorted as {@link problems}. */
  get warnings(): readonly Problem[] {
    return this.#sorted(this.#warnings);
  }

  /** Every file and folder that was looked at, those that are missing included. */
  get sources(): ConfigSources {
    return { files: this.#files.paths, folders: [...this.#folders] };
  }

  /** Reads a file that the configuration depends on; see `readTextFile`. */
  async read(file: string): Promise<FileRead> {
    this.#first ??= file;
    const read = await this.#files.read(file);
    this.#reads?.set(file, read);
    return read;
  }

  /** See {@link ConfigFiles.lists}. */
  get lists(): Set<string> {
    return this.#files.lists;
  }

  /** The configuration depends on which files a folder has. */
  usesFolder(folder: string): void {
    this.#folders.add(folder);
  }

  /** What `make` makes of the names of a folder; as it was, where they are the same and it found no problem. */
  onceForNames<T>(folder: string, names: readonly string[], make: () => T): T {
    const known = this.#files.recallListing<T>(folder, names);
    if (known !== undefined) return known;
    const problems = this.#problems.length;
    const made = make();
    if (this.#problems.length === problems) this.#files.keepListing(folder, names, made);
    return made;
  }

  /** What `make` makes of a file, with what it finds; as it was, where the file and all that it names have not changed. */
  async once<T>(file: string, make: (own: Findings) => Promise<T>): Promise<T> {
    let made = await this.#files.recall<T>(file);
    if (made === null) {
      const reads = new Map<string, FileRead>();
      const own = new Findings(this.#files, reads);
      const value = await make(own);
      made = { value, reads, problems: own.#problems, warnings: own.#warnings };
      this.#files.keep(file, made);
    }
    this.#problems.push(...made.problems);
    this.#warnings.push(...made.warnings);
    return made.value;
  }

  #sorted(list: readonly Problem[]): readonly Problem[] {
    const byFile = (a: string, b: string) => {
      if (a === b) return 0;
      return a === this.#first || (b !== this.#first && a < b) ? -1 : 1;
    };
    return list.toSorted((a, b) => byFile(a.file, b.file) || a.line - b.line || a.column - b.column);
  }
}
