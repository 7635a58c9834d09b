import { createHash } from 'node:crypto';
import { domainToASCII, domainToUnicode } from 'node:url';

/** Labels of 1 to 63 characters, joined by dots. */
const NAME = /^(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/;
const MAX_NAME_LENGTH = 254;
/**
 * Characters that UTS-46 drops without a trace, so that two names would look alike. Joiners may mean something, and emoji
 * are typed with a selector: those are left to UTS-46.
 */
const INVISIBLE = /(?!\u200c|\u200d|\ufe0e|\ufe0f)\p{Default_Ignorable_Code_Point}/u;

/** True for a name that is canonical already: lower-case A-labels, no trailing dot, 1 to 254 bytes. One label is enough. */
export function isCanonicalName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && NAME.test(name);
}

/**
 * A host name as it is compared everywhere: lower-case, one trailing dot stripped, A-labels (ASCII in, ASCII out; no IDNA
 * mapping: that is for people's input, see {@link toHostName}). Null when it is none.
 */
export function canonicalName(name: string): string | null {
  if (isCanonicalName(name)) return name;
  // Before folding: the Kelvin sign becomes an ASCII k.
  if (/[^\x21-\x7e]/.test(name)) return null;
  const folded = (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
  return isCanonicalName(folded) ? folded : null;
}

/**
 * What a person typed as a host name, in canonical form (UTS-46, STD3 rules, non-transitional: `faß.de` is
 * `xn--fa-hia.de`). Null when it is invalid: what a browser would take for an IP address (`1.2.3`) is no host name either.
 *
 * `url.domainToASCII` alone would read `1.2.3` as `1.2.0.3`, cut `é/x` at the slash, decode `%62`, drop soft hyphens,
 * allow `a_b` and believe every label that begins with `xn--`.
 */
export function toHostName(input: string): string | null {
  if (INVISIBLE.test(input) || /[\0-,/:-@[-`{-\x7f]/.test(input)) return null;
  const ascii = /^[\x21-\x7e]*$/.test(input) ? input : domainToASCII(input);
  const name = canonicalName(ascii);
  if (name === null) return null;
  const labels = name.split('.');
  // The URL standard's "ends in a number": such a host is parsed as an IPv4 address, or refused.
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) return null;
  return labels.every(isHonestLabel) ? name : null;
}

/** False for an A-label that is not what its own U-label encodes to, or whose U-label breaks STD3's rule for hyphens. */
function isHonestLabel(label: string): boolean {
  if (!label.startsWith('xn--')) return true;
  const decoded = domainToUnicode(label);
  return decoded !== label && domainToASCII(decoded) === label && !/^-|-$|^..--/u.test(decoded);
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

/** Whether a pattern (exact, `*.suffix` for exactly one label more, `*` for every name) is about a canonical name, or is it. */
export function covers(pattern: string, name: string): boolean {
  return pattern === name || pattern === '*' || pattern === wildcardOf(name);
}

/** A canonical name as hosts folders hide it: BLAKE2s-256 in base64url without padding. */
export function hashedName(name: string): string {
  return createHash('blake2s256').update(name).digest('base64url');
}
