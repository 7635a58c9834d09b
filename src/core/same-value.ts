import { Secret } from './secret.ts';

/**
 * True when two resolved options say the same: plain values, arrays and objects member by member, secrets by their
 * credential (`isDeepStrictEqual` cannot see into those and takes any two for equal). Functions are the same only as one.
 */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (a instanceof Secret || b instanceof Secret) {
    return a instanceof Secret && b instanceof Secret && a.equals(b.reveal());
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  const [one, other] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return keys.every((key) => Object.hasOwn(other, key) && sameValue(one[key], other[key]));
}

/** The keys under which two objects of one type do not say the same. */
export function differingKeys<T extends object>(a: T, b: T): (keyof T & string)[] {
  return (Object.keys(a) as (keyof T & string)[]).filter((key) => !sameValue(a[key], b[key]));
}
