import type { z } from 'zod';
import { nearest } from '../core/nearest.ts';
import { mismatch } from './fields.ts';
import type { Findings } from './findings.ts';
import { formatKeyPath, type KeyPath, type Problem } from './problems.ts';
import type { FileRead } from './read-file.ts';
import type { Source } from './source.ts';

/** The keys that an object of a file may have, and those that the design has but this version has not. */
export interface Keys<S extends z.ZodObject> {
  readonly schema: S;
  /** Refused like any unknown key, for they would be ignored otherwise; the message says that they are to come. */
  readonly notYet: readonly string[];
  /** Keys without a default. None where it is left out. */
  readonly required?: readonly string[];
}

/** What was understood of an object: wrong and missing keys are not there. */
export type Understood<S extends z.ZodObject> = {
  [K in keyof z.output<S>]?: Exclude<z.output<S>[K], undefined>;
};

/** Where something stands. */
export type Place = Omit<Problem, 'message'>;

/** An object or value within a file, with what is needed to say where it stands. */
export class Section {
  readonly source: Source;
  readonly path: KeyPath;
  readonly value: unknown;
  readonly #findings: Findings;

  constructor(source: Source, findings: Findings, path: KeyPath = [], value: unknown = source.value) {
    this.source = source;
    this.path = path;
    this.value = value;
    this.#findings = findings;
  }

  /** The part of this object under `key`; null when it is not there, or is null. */
  child(key: string): Section | null {
    const { value } = this;
    if (!isObject(value) || !Object.hasOwn(value, key) || value[key] === null) return null;
    return new Section(this.source, this.#findings, [...this.path, key], value[key]);
  }

  /** The parts of this list; one that is this value itself where it is no list. */
  items(): Section[] {
    if (!Array.isArray(this.value)) return [this];
    return this.value.map((item, index) => new Section(this.source, this.#findings, [...this.path, index], item));
  }

  /** Reads a file that this section names. */
  readFile(file: string): Promise<FileRead> {
    return this.#findings.read(file);
  }

  /** See {@link ConfigFiles.lists}. */
  get lists(): Set<string> {
    return this.#findings.lists;
  }

  /** A problem of this section, or of what is at `path` within it. */
  problem(message: string, path: KeyPath = [], what: 'key' | 'value' = 'value'): void {
    this.#findings.problem({ ...this.place(path, what), message });
  }

  /** As {@link problem}, for what need not be put right. */
  warn(message: string, path: KeyPath = []): void {
    this.#findings.warn({ ...this.place(path), message });
  }

  /** Reads this section as an object. Everything wrong with it is a problem; what is right is given all the same. */
  read<S extends z.ZodObject>({ schema, notYet, required = [] }: Keys<S>): Understood<S> {
    const { value } = this;
    // `$schema` is for editors: nobody looks for it.
    const allowed = Object.keys(schema.shape).filter((key) => key !== '$schema');
    if (!isObject(value)) {
      this.problem(mismatch(value, `an object with the keys ${allowed.join(', ')}`));
      return {};
    }
    const { data, error } = schema.safeParse(value);
    for (const issue of error?.issues ?? []) {
      if (issue.code === 'unrecognized_keys') for (const key of issue.keys) this.#unknown(key, allowed, notYet);
      else this.problem(issue.message, issue.path as KeyPath);
    }
    for (const key of required) {
      const isNothing = !Object.hasOwn(value, key) || (value[key] === null && accepts(schema.shape[key], null));
      if (isNothing) this.problem('found nothing; the key is needed', [key]);
    }
    const understood: Record<string, unknown> = data ?? this.#right(schema, value);
    return Object.fromEntries(Object.entries(understood).filter(([, part]) => part !== undefined)) as Understood<S>;
  }

  /** Of an object that is wrong as a whole: what each key that is right means. */
  #right(schema: z.ZodObject, value: Record<string, unknown>): Record<string, unknown> {
    const understood: Record<string, unknown> = {};
    for (const [key, type] of Object.entries(schema.shape)) {
      const result = (type as z.ZodType).safeParse(Object.hasOwn(value, key) ? value[key] : undefined);
      if (result.success) understood[key] = result.data;
    }
    return understood;
  }

  #unknown(key: string, allowed: readonly string[], notYet: readonly string[]): void {
    const keys = `allowed: ${allowed.join(', ')}`;
    const near = nearest(key, allowed);
    const hint = near === null ? '' : `; did you mean \`${near}\`?`;
    const reason = notYet.includes(key) ? 'this version does not support the key yet' : `unknown key${hint}`;
    this.problem(`${reason}; ${keys}`, [key], 'key');
  }

  /** Where this section, or what is at `path` within it, stands. */
  place(path: KeyPath = [], what: 'key' | 'value' = 'value'): Place {
    const full = [...this.path, ...path];
    const { line, column, path: found } = this.source.locate(full, what);
    // A list of one may be written without brackets, and then has no index; a key that is missing is still named.
    const key = formatKeyPath(typeof full[found.length] === 'number' ? found : full);
    return { file: this.source.file, line, column, key };
  }
}

function accepts(type: unknown, value: unknown): boolean {
  return (type as z.ZodType).safeParse(value).success;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
