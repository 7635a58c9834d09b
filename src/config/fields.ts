import { z } from 'zod';
import { unixHint } from './addresses.ts';
import { anyOf, type JsonShape, oneOrMany, orNothing, PATH_SHAPE, TEXT, textOf } from './shapes.ts';
import { parseDuration, parseSize } from './units.ts';

/** What editors are told of the fields below, whose own checks no JSON Schema can say. By the type that a field is made of. */
export const FIELD_SHAPES = new WeakMap<z.core.$ZodType, JsonShape>();

function shaped<T extends z.ZodType>(type: T, shape: JsonShape): T {
  FIELD_SHAPES.set(type, shape);
  return type;
}

function shapeOf(type: z.core.$ZodType): JsonShape {
  return FIELD_SHAPES.get(type) ?? {};
}

/** What a value of a file was, for a message: short, and without the credentials that a URL may hold. */
function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value !== 'string') return String(value);
  const safe = value.replace(/[^\s/@]+@/g, '[redacted]@');
  return JSON.stringify(safe.length > 60 ? `${safe.slice(0, 60)}...` : safe);
}

/** "found ...; allowed: ...". */
export function mismatch(found: unknown, allowed: string): string {
  return `found ${describe(found)}; allowed: ${allowed}${allowed.includes('unix:') ? unixHint(found) : ''}`;
}

/**
 * A value of a file: `read` gives what it means, null when it is wrong; `allowed` then tells the user, `shape` editors. A shape
 * may allow what `read` refuses, never the other way round.
 */
export function field<T>(allowed: string, read: (value: unknown) => T | null, shape: JsonShape = {}) {
  const type = z
    .unknown()
    .transform((value, context): T => {
      const meaning = read(value);
      if (meaning !== null) return meaning;
      context.issues.push({ code: 'custom', message: mismatch(value, allowed), input: value });
      return z.NEVER;
    })
    .optional();
  return shaped(type, shape);
}

/** A field that may be null, which means its default as if it were not there. */
export function orNull<T extends z.ZodType>(inner: T) {
  const type = z.preprocess((value) => (value === null ? undefined : value), inner);
  return shaped(type, orNothing(shapeOf(inner)));
}

const MAX_ITEMS = 1_000;

/** A list of at most 1,000, or one value; each value may mean several things. */
export function listOf<T>(allowed: string, read: (value: unknown) => readonly T[] | null, shape: JsonShape = {}) {
  const items = z.array(field(allowed, read)).max(MAX_ITEMS, `found more than ${MAX_ITEMS} entries`);
  const type = z
    .preprocess((value) => (value === undefined || Array.isArray(value) ? value : [value]), items.optional())
    .transform((lists) => lists?.flatMap((list) => list ?? []));
  return shaped(type, oneOrMany(shape, { most: MAX_ITEMS }));
}

/** Any value at all; what reads it says what is allowed. */
export const anything = () => z.unknown().optional();

export const flag = () =>
  field('true or false', (value) => (typeof value === 'boolean' ? value : null), { type: 'boolean' });

/** A whole number without unit. */
export function count(least: number, most: number) {
  const read = (value: unknown) =>
    typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : null;
  return field(`a whole number from ${least} to ${most}`, read, { type: 'integer', minimum: least, maximum: most });
}

const DURATION = withUnit('ms|s|m|h|d');
const SIZE = withUnit('k|M|G|kB|MB|GB');

/** A size that is not 0. */
export const SIZE_SHAPE = SIZE.some;

/** A number with its unit: all of it, and what is left where 0 is not allowed. */
function withUnit(units: string): { readonly any: JsonShape; readonly some: JsonShape } {
  const some = textOf(`(?=\\d{1,16}(?!\\d))0*[1-9]\\d* ?(?:${units})`);
  return { any: anyOf(textOf(`\\d{1,16} ?(?:${units})`, '0'), { const: 0 }), some };
}

export const duration = () =>
  field('a duration such as "65s" (ms, s, m, h or d; at most 24d), or 0', parseDuration, DURATION.any);

/** A duration that may not be 0. */
export const someDuration = () =>
  field(
    'a duration such as "5s" (ms, s, m, h or d; at most 24d)',
    (value) => parseDuration(value) || null,
    DURATION.some,
  );

/** Bytes. */
export function size(least = 0, most = Number.MAX_SAFE_INTEGER, limits = ', or 0') {
  const read = (value: unknown) => {
    const bytes = parseSize(value);
    return bytes === null || bytes < least || bytes > most ? null : bytes;
  };
  return field(
    `a size such as "64kB" (k, M, G: 1000; kB, MB, GB: 1024)${limits}`,
    read,
    least === 0 ? SIZE.any : SIZE.some,
  );
}

/** One of some words. */
export function oneOf<const T extends string>(...words: readonly T[]) {
  const read = (value: unknown) => words.find((word) => word === value) ?? null;
  return field(words.map((word) => JSON.stringify(word)).join(', '), read, { enum: words });
}

/** A string that `read` understands. */
export function text<T>(allowed: string, read: (value: string) => T | null, shape = TEXT) {
  return field(allowed, (value) => (typeof value === 'string' ? read(value) : null), shape);
}

/** A string that matches all of a pattern, which has no flags and means the same with `u`. */
export function matching(allowed: string, pattern: RegExp) {
  return text(allowed, (value) => (pattern.test(value) ? value : null), { ...TEXT, pattern: pattern.source });
}

/** `$schema` of a file: for editors alone. */
export const schemaName = () => text('a text: where the JSON Schema of this file is', (value) => value);

/** A folder, or another path; relative ones are made absolute by who knows the file. */
export const pathText = () =>
  text('a path', (value) => (value === '' || value.includes('\0') ? null : value), PATH_SHAPE);
