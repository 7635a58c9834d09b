/** What a header field is to a proxy; decided once for each spelling of a name. */
export const FIELD = {
  pass: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  upgrade: 5,
  expect: 6,
  te: 7,
  via: 8,
  cookie: 9,
  userAgent: 10,
  referer: 11,
  trailer: 12,
  /** Hop-by-hop: ends here. */
  hop: 13,
  /** Dropped by the rules it was asked of. */
  drop: 14,
  /** Not a token of RFC 9110, section 5.6.2. */
  bad: 15,
  /** X-Forwarded-For where it is dropped: kept beside the head, for whoever sent it may be believed. */
  forwardedFor: 16,
} as const;

export type Field = (typeof FIELD)[keyof typeof FIELD];

const KNOWN: ReadonlyMap<string, Field> = new Map<string, Field>([
  ['host', FIELD.host],
  ['content-length', FIELD.contentLength],
  ['transfer-encoding', FIELD.transferEncoding],
  ['connection', FIELD.connection],
  ['upgrade', FIELD.upgrade],
  ['expect', FIELD.expect],
  ['te', FIELD.te],
  ['via', FIELD.via],
  ['cookie', FIELD.cookie],
  ['user-agent', FIELD.userAgent],
  ['referer', FIELD.referer],
  ['trailer', FIELD.trailer],
  ['keep-alive', FIELD.hop],
  ['proxy-connection', FIELD.hop],
  // Credentials for a proxy are nothing to the target, nor is its challenge anything to the visitor (RFC 9110, 11.7).
  ['proxy-authorization', FIELD.hop],
  ['proxy-authenticate', FIELD.hop],
  ['http2-settings', FIELD.hop],
]);

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not pass
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;

/** True for a token of RFC 9110, section 5.6.2: what a method and a field name must be. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** True for a field value without control characters other than HTAB. */
export function isFieldValue(value: string): boolean {
  return !CONTROL.test(value);
}

/** A cache of strangers' spellings must not grow with them, nor with their length: a name may have as much as a whole head. */
const MAX_SPELLING_LENGTH = 64;
const MAX_SPELLINGS_OF_LENGTH = 32;

/** Which fields are dropped on top of the hop-by-hop ones. Names in lower case. */
export interface HeaderRuleOptions {
  readonly drop?: readonly string[];
  readonly dropPrefixes?: readonly string[];
  /** Drop names with `_`: servers that turn `-` into `_` (CGI) would take them for others. Default false. */
  readonly dropUnderscore?: boolean;
  /** Most header lines of a head. Default: that of the front door. */
  readonly maxLines?: number;
}

interface Spelling {
  readonly name: string;
  readonly field: Field;
}

/**
 * Classifies header names, each spelling once: the hot path is a look at the few of the same length, for to hash a name that was
 * just cut out of a head costs more than all of these comparisons.
 */
export class HeaderRules {
  readonly #options: HeaderRuleOptions;
  readonly #byLength: readonly Spelling[][] = Array.from({ length: MAX_SPELLING_LENGTH + 1 }, () => []);

  constructor(options: HeaderRuleOptions = {}) {
    this.#options = options;
  }

  get maxLines(): number | undefined {
    return this.#options.maxLines;
  }

  classify(name: string): Field {
    const known = this.#byLength[name.length];
    if (known === undefined) return this.#judge(name);
    for (const spelling of known) if (spelling.name === name) return spelling.field;
    const field = this.#judge(name);
    if (known.length >= MAX_SPELLINGS_OF_LENGTH) known.length = 0;
    // Copied: a name that is kept would keep the head that it was cut out of.
    known.push({ name: Buffer.from(name).toString(), field });
    return field;
  }

  #judge(name: string): Field {
    if (!TOKEN.test(name)) return FIELD.bad;
    const lower = name.toLowerCase();
    const { drop = [], dropPrefixes = [], dropUnderscore = false } = this.#options;
    if (dropUnderscore && lower.includes('_')) return FIELD.drop;
    if (lower === 'x-forwarded-for' && drop.includes(lower)) return FIELD.forwardedFor;
    if (drop.includes(lower) || dropPrefixes.some((prefix) => lower.startsWith(prefix))) return FIELD.drop;
    return KNOWN.get(lower) ?? FIELD.pass;
  }
}

/** The tokens of a `Connection` field, in lower case. */
export function connectionTokens(value: string): string[] {
  const lower = value.toLowerCase();
  // Mostly it is one.
  if (lower !== '' && !/[\s,]/.test(lower)) return [lower];
  return lower
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '');
}

const NEVER_REMOVED = new Set(['host', 'content-length', 'transfer-encoding']);

/**
 * Removes what `Connection` named. Host and framing stay: they are this proxy's own statement towards the next hop, and
 * nobody may strip them by naming them.
 */
export function removeNamed(headers: string[], tokens: readonly string[]): string[] {
  const named = new Set(tokens.filter((token) => !NEVER_REMOVED.has(token)));
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (!named.has(name.toLowerCase())) kept.push(name, headers[i + 1] ?? '');
  }
  return kept;
}

/** The first value of a field, whatever the case of its name; null without it. `lower` is in lower case. */
export function fieldValue(headers: readonly string[], lower: string): string | null {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (name.length === lower.length && name.toLowerCase() === lower) return headers[i + 1] ?? '';
  }
  return null;
}

/** All values of a field, in their order. `lower` is in lower case. */
export function fieldValues(headers: readonly string[], lower: string): string[] {
  return headers.filter((_, i) => i % 2 === 1 && headers[i - 1]?.toLowerCase() === lower);
}

/** RFC 9110, section 6.5.1: what changes framing, routing or identity has no place in trailers. */
const NO_TRAILER = new Set([
  'transfer-encoding',
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
  'trailer',
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'te',
  'authorization',
  'proxy-authorization',
  'set-cookie',
  'cookie',
  'expect',
  'via',
]);

/** Trailers that may pass. `rules` drops what it drops in heads too. */
export function cleanTrailers(raw: readonly string[], rules: HeaderRules): string[] {
  if (raw.length === 0) return [];
  const kept: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    if (rules.classify(name) === FIELD.pass && isFieldValue(value) && !NO_TRAILER.has(name.toLowerCase())) {
      kept.push(name, value);
    }
  }
  return kept;
}
