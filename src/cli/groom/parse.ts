import { BackdialError } from '../../core/errors.ts';

/** A value of a groom file: every scalar is a text there. */
export type GroomValue = string | readonly GroomValue[] | GroomSection;

export interface GroomSection {
  readonly [key: string]: GroomValue;
}

const WORD = /[^\s{}[\],;:="#]+/y;
const STRING = /"(?:[^"\\]|\\.)*"/y;
/** Blanks, separators that may be left out, and the three forms of comments. */
const NOTHING = /(?:[\s,;]+|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)+/y;
const MAX_DEPTH = 32;

/**
 * Reads the JSON-like text of a groom file and gives what is in its `groom` section. Separators may be left out, `=` and `:` are
 * alike. Fails with `input-invalid`, naming the line: also for a `{{macro}}`, of which groom makes text before it reads.
 */
export function parseGroom(text: string, file: string): GroomSection {
  const parser = new Parser(text, file);
  const { groom } = parser.entries(0, null);
  if (groom !== undefined && isSection(groom)) return groom;
  throw new BackdialError('input-invalid', `${file}: found no section \`groom { ... }\`; is it a file of groom?`);
}

export function isSection(value: GroomValue | undefined): value is GroomSection {
  return typeof value === 'object' && !Array.isArray(value);
}

class Parser {
  readonly #text: string;
  readonly #file: string;
  #at = 0;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  /** The keys and values up to `end`, or of all the text. */
  entries(depth: number, end: '}' | null): GroomSection {
    const entries: Record<string, GroomValue> = {};
    for (;;) {
      this.#skip();
      if (this.#at >= this.#text.length && end === null) return entries;
      if (end !== null && this.#take(end)) return entries;
      if (depth === 0 && this.#text.startsWith('{', this.#at)) return this.#section(depth);
      const key = this.#scalar('a key');
      this.#skip();
      if (this.#take('=') || this.#take(':')) this.#skip();
      // A key may be called anything.
      Object.defineProperty(entries, key, {
        value: this.#value(depth),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
  }

  #value(depth: number): GroomValue {
    if (depth > MAX_DEPTH) throw this.#wrong('less depth');
    if (this.#text.startsWith('{{', this.#at)) throw this.#wrong('no macro: put what it stands for in its place');
    if (this.#text.startsWith('{', this.#at)) return this.#section(depth);
    if (!this.#take('[')) return this.#scalar('a value');
    const list: GroomValue[] = [];
    for (;;) {
      this.#skip();
      if (this.#take(']')) return list;
      list.push(this.#value(depth + 1));
    }
  }

  #section(depth: number): GroomSection {
    this.#at += 1;
    return this.entries(depth + 1, '}');
  }

  #scalar(what: string): string {
    const quoted = this.#match(STRING);
    if (quoted !== null) {
      try {
        return (JSON.parse(quoted) as string).trim();
      } catch {
        throw this.#wrong('a text with valid escapes');
      }
    }
    return this.#match(WORD) ?? this.#fail(what);
  }

  #skip(): void {
    this.#match(NOTHING);
  }

  #take(character: string): boolean {
    if (!this.#text.startsWith(character, this.#at)) return false;
    this.#at += character.length;
    return true;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? null;
    this.#at += found?.length ?? 0;
    return found;
  }

  #fail(what: string): never {
    throw this.#wrong(what);
  }

  #wrong(wanted: string): BackdialError {
    const line = this.#text.slice(0, this.#at).split('\n').length;
    const found = this.#at >= this.#text.length ? 'the end' : JSON.stringify(this.#text.slice(this.#at, this.#at + 12));
    return new BackdialError('input-invalid', `${this.#file}:${line}: found ${found}; wanted: ${wanted}`);
  }
}
