import { domainToASCII } from 'node:url';

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;
const MAX_NAME_LENGTH = 254;

/** True for a name that is canonical already: lower-case A-labels, no trailing dot, 1 to 254 bytes. One label is enough. */
export function isCanonicalName(name: string): boolean {
  return name.length > 0 && name.length <= MAX_NAME_LENGTH && name.split('.').every((label) => LABEL.test(label));
}

/**
 * A host name as it is compared everywhere: lower-case, one trailing dot stripped, A-labels (ASCII in, ASCII out; no IDNA
 * mapping: that is for people's input, see {@link toHostName}). Null when it is none.
 */
export function canonicalName(name: string): string | null {
  const folded = (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
  return isCanonicalName(folded) ? folded : null;
}

/**
 * What a person typed as a host name, in canonical form (UTS-46, STD3 rules, non-transitional: `faß.de` is
 * `xn--fa-hia.de`). Null when it is invalid. `url.domainToASCII` alone would read `1.2.3` as an IPv4 address, drop soft
 * hyphens and allow `a_b`.
 */
export function toHostName(input: string): string | null {
  if (/[\u00ad\u200b-\u200f\u2060\ufeff%]/.test(input) || /^[0-9.]+$/.test(input)) return null;
  const ascii = /^[\x21-\x7e]+$/.test(input) ? input : domainToASCII(input);
  return ascii === '' ? null : canonicalName(ascii);
}

/** A domain of a configuration: a host name, or `*.` and one (a wildcard). Canonical form or null. */
export function toDomain(input: string): string | null {
  if (!input.startsWith('*.')) return toHostName(input);
  const rest = toHostName(input.slice(2));
  return rest === null ? null : `*.${rest}`;
}

/** The wildcard that covers exactly one more label than itself: `a.b.c` gives `*.b.c`. Null for one label. */
export function wildcardOf(name: string): string | null {
  const dot = name.indexOf('.');
  return dot === -1 ? null : `*${name.slice(dot)}`;
}
