import { basename, dirname, join } from 'node:path';

/** `%Y` and so on, in the order of their weight, with the digits of each. */
const TOKENS = { Y: 4, m: 2, d: 2, H: 2 } as const;

type Token = keyof typeof TOKENS;

const TOKEN = /%([YmdH])/g;

/** What follows the name of a file that was put aside: when its last line was written (UTC, ms). */
const ASIDE = '\\.(?<aside>\\d{8}T\\d{9})';

/** Then what follows the compressed form, and that while it grows. */
const GZIP = '(?:\\.gz(?<unfinished>\\.tmp)?)?';

/** Sorts after every time: what was written last under a dated name keeps that name. */
const LAST = '9';

/** A file that lines no longer go to. */
export interface OldFile {
  readonly path: string;
  /** `unfinished`: a compression that was not completed. */
  readonly form: 'plain' | 'gzip' | 'unfinished';
  /** Sorts by age: the oldest first. The same for a file and its compressed form. */
  readonly age: string;
}

/** The names of one log's files: the one that is written now, those that were put aside. All times are UTC. */
export class LogFileName {
  readonly folder: string;
  readonly #pattern: string;
  readonly #old: RegExp;

  /** `pattern` is an absolute path; its last part may hold `%Y`, `%m`, `%d`, `%H`. */
  constructor(pattern: string) {
    this.folder = dirname(pattern);
    this.#pattern = basename(pattern);
    const dated = this.#pattern.includes('%');
    const seen = new Set<string>();
    const source = this.#pattern.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replace(TOKEN, (_, token: Token) => {
      const group = seen.has(token) ? '' : `?<${token}>`;
      seen.add(token);
      return `(${group}\\d{${TOKENS[token]}})`;
    });
    // A name with a date is old by itself when its time is over.
    this.#old = new RegExp(`^${source}${dated ? `(?:${ASIDE})?` : ASIDE}${GZIP}$`);
  }

  /** The file for what is written at `timeMs`. */
  at(timeMs: number): string {
    const [date = '', hour = ''] = new Date(timeMs).toISOString().split(/[T:]/);
    const [Y = '', m = '', d = ''] = date.split('-');
    const parts = { Y, m, d, H: hour };
    return join(
      this.folder,
      this.#pattern.replace(TOKEN, (_, token: Token) => parts[token]),
    );
  }

  /** Where `path` goes when it is put aside, if its last line was written at `timeMs`. */
  aside(path: string, timeMs: number): string {
    return `${path}.${new Date(timeMs).toISOString().replace(/[-:.Z]/g, '')}`;
  }

  /** The files among these names of the folder that were put aside, oldest first. */
  old(names: readonly string[], current: string): OldFile[] {
    const files = names.flatMap((name): OldFile[] => {
      const groups = this.#old.exec(name)?.groups;
      const path = join(this.folder, name);
      if (groups === undefined || path === current) return [];
      const { aside = LAST, unfinished } = groups;
      const form = unfinished !== undefined ? 'unfinished' : name.endsWith('.gz') ? 'gzip' : 'plain';
      const date = Object.keys(TOKENS).map((token) => groups[token] ?? '');
      return [{ path, form, age: `${date.join('')} ${aside}` }];
    });
    return files.toSorted((a, b) => (a.age < b.age ? -1 : a.age > b.age ? 1 : 0));
  }
}
