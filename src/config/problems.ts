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

/** `certificates[0].cert`. */
export function formatKeyPath(path: KeyPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text === '' ? '' : '.'}${/^[\w$-]+$/.test(part) ? part : JSON.stringify(part)}`;
  }
  return text;
}
