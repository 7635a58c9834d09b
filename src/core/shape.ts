import { nearest } from './nearest.ts';
import { Secret } from './secret.ts';

/** What an option may be. Gives what is wrong with a value at `path`, each in one line; never the value itself. */
export type Shape = (value: unknown, path: string) => readonly string[];

/** A value of one kind; `what` tells people which. */
function kind(what: string, fits: (value: unknown) => boolean): Shape {
  return (value, path) => (fits(value) ? [] : [`\`${path}\`: found ${nameOf(value)}; wanted: ${what}`]);
}

export const text = kind('a string', (value) => typeof value === 'string');
export const number = kind('a number', (value) => typeof value === 'number');
/** A whole number in these bounds. */
export function whole(least: number, most: number): Shape {
  const fits = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most;
  return kind(`a whole number from ${least} to ${most}`, fits);
}

/** Judged by what it can do: test runners bring a class of their own. */
export const abortSignal = kind(
  'an AbortSignal',
  (value) => isObject(value) && typeof value.addEventListener === 'function',
);
export const flag = kind('true or false', (value) => typeof value === 'boolean');
export const func = kind('a function', (value) => typeof value === 'function');
export const secret = kind('a Secret: `new Secret(text)`', (value) => value instanceof Secret);
/** What others judge. */
export const anything: Shape = () => [];

/** One of these values. */
export function oneOf(...values: readonly unknown[]): Shape {
  return kind(values.map((value) => JSON.stringify(value)).join(' or '), (value) => values.includes(value));
}

export function orNull(shape: Shape): Shape {
  return (value, path) => (value === null ? [] : shape(value, path));
}

export function list(of: Shape): Shape {
  return (value, path) => {
    if (!Array.isArray(value)) return [`\`${path}\`: found ${nameOf(value)}; wanted: a list`];
    return value.flatMap((item, index) => of(item, `${path}[${index}]`));
  };
}

/** An object with keys of any name. */
export function record(of: Shape): Shape {
  return (value, path) => {
    if (!isObject(value)) return [`\`${path}\`: found ${nameOf(value)}; wanted: an object`];
    return Object.entries(value).flatMap(([key, item]) => of(item, `${path}.${key}`));
  };
}

/**
 * An object with these keys, and none beside them: one that is written wrongly would be ignored. A key that is undefined
 * is not there.
 */
export function object<T>(
  keys: Readonly<Record<keyof T & string, Shape>>,
  required: readonly (keyof T & string)[] = [],
): Shape {
  const known = Object.keys(keys);
  return (value, path) => {
    if (!isObject(value))
      return [`${path === '' ? 'the options' : `\`${path}\``}: found ${nameOf(value)}; wanted: an object`];
    const inside = (key: string) => (path === '' ? key : `${path}.${key}`);
    const missing = required.filter((key) => value[key] === undefined);
    const problems = missing.map((key) => `\`${inside(key)}\` is missing`);
    for (const [key, item] of Object.entries(value)) {
      if (item === undefined) continue;
      if (Object.hasOwn(keys, key)) problems.push(...keys[key as keyof T & string](item, inside(key)));
      else problems.push(`\`${inside(key)}\` is no option; ${hint(key, known)}`);
    }
    return problems;
  };
}

/** What fits one of several shapes; `what` tells people which there are. */
export function either(what: string, ...shapes: readonly Shape[]): Shape {
  return kind(what, (value) => shapes.some((shape) => shape(value, '').length === 0));
}

/** One of two shapes, by whether the value is an object that has the key. */
export function byKey(key: string, having: Shape, otherwise: Shape): Shape {
  return (value, path) => (isObject(value) && key in value ? having : otherwise)(value, path);
}

function hint(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  return meant === null ? `there are: ${known.join(', ')}` : `probably \`${meant}\``;
}

function nameOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Secret) return 'a Secret';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
