import { canonicalName } from '../core/host-name.ts';

/** Of a request: a canonical name, and the port where one was given. */
export interface Authority {
  readonly name: string;
  readonly port: number | null;
}

/** Good ones as they were spelt: visitors of a name spell it alike. A cache of strangers' spellings must not grow with them. */
const authorities = new Map<string, Authority>();
const MAX_AUTHORITIES = 2_000;

/** `name[:port]`, nothing else: no user, no list, no IPv6, no blank. */
export function parseAuthority(text: string): Authority | null {
  const known = authorities.get(text);
  if (known !== undefined) return known;
  const authority = readAuthority(text);
  if (authority === null) return null;
  if (authorities.size >= MAX_AUTHORITIES) authorities.clear();
  authorities.set(text, authority);
  return authority;
}

function readAuthority(text: string): Authority | null {
  const colon = text.indexOf(':');
  const name = canonicalName(colon === -1 ? text : text.slice(0, colon));
  if (name === null) return null;
  if (colon === -1) return { name, port: null };
  const digits = text.slice(colon + 1);
  if (!/^\d{1,5}$/.test(digits)) return null;
  const port = Number(digits);
  return port === 0 || port > 65_535 ? null : { name, port };
}
