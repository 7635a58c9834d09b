/** A key's place in a file: names of keys and indices of lists. */
export type KeyPath = readonly (string | number)[];

/** Something to put right (or, as a warning, to know) in a configuration file. */
export interface Problem {
  /** As the user named it: relative where the main file was given so. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, UTF-16 code units. */
  readonly column: number;
  /** `certificates[0].cert`; empty where no key is concerned. */
  readonly key: string;
  /** What was found and what is allowed. Never holds a credential. */
  readonly message: string;
}

/** One line: `file:line:column: key: message`. */
export function formatProblem({ file, line, column, key, message }: Problem): string {
  return `${file}:${line}:${column}: ${key === '' ? '' : `${key}: `}${message}`;
}

/** What is found while a configuration is read: everything, not only the first. */
export class Findings {
  readonly #files: string[] = [];
  readonly #problems: Problem[] = [];
  readonly #warnings: Problem[] = [];

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

  /** Fixes the order of a file that may be mentioned later than another. */
  mention(file: string): void {
    if (!this.#files.includes(file)) this.#files.push(file);
  }

  #add(list: Problem[], entry: Problem): void {
    this.mention(entry.file);
    list.push(entry);
  }

  #sorted(list: readonly Problem[]): readonly Problem[] {
    return list.toSorted(
      (a, b) => this.#files.indexOf(a.file) - this.#files.indexOf(b.file) || a.line - b.line || a.column - b.column,
    );
  }
}

/** `certificates[0].cert`. */
export function formatKeyPath(path: KeyPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text === '' ? '' : '.'}${/^[\w$-]+$/.test(part) ? part : JSON.stringify(part)}`;
  }
  return text;
}
