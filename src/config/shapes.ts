/**
 * What editors are told of texts whose own checks no JSON Schema can say: regular expressions that no text fails which is read
 * without a problem. They have no flags, and mean the same with `u` and without.
 */

/** A part of a JSON Schema. */
export type JsonShape = Readonly<Record<string, unknown>>;

const CONTROL = String.raw`\u0000-\u001f\u007f-\u009f`;
const PORT_DIGITS = String.raw`(?:[0-5]?\d{1,4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])`;
const IP_4 = String.raw`(?:\d{1,3}\.){3}\d{1,3}`;
const IP_6 = '(?=(?:[^:]*:){2})[0-9a-fA-F.:]+(?:%[0-9a-zA-Z.:-]+)?';
const HOST_PORT = String.raw`(?:\[${IP_6}\]|[^:\[\]\s\/@]+):${PORT_DIGITS}`;
const PATH = String.raw`[^\u0000]+`;
const LABEL = '(?!-)[a-z0-9-]{1,63}(?<!-)';
const ANY_LABEL = '(?!-)[a-zA-Z0-9-]{1,63}(?<!-)';
/** A label as it may be typed: ASCII letters, digits and hyphens, and everything beyond ASCII. */
const TYPED_LABEL = String.raw`(?!-)[^\u0000-,.\/:-@\[-\u0060\{-\u007f]+(?<!-)`;
/** What ends in a number is taken for an address. */
const NAME = String.raw`(?:${TYPED_LABEL}\.)*(?!(?:\d+|0[xX][0-9a-fA-F]*)\.?(?:$|[:\]]))${TYPED_LABEL}\.?`;
const DOMAIN = String.raw`(?:\*\.)?${NAME}`;
const NOT_ZERO = String.raw`(?!0+(?!\d))${PORT_DIGITS}`;
const PORTS = `${NOT_ZERO}(?:-${NOT_ZERO})?`;

const SECRET = String.raw`(?!\s|@|\$6\$)[^${CONTROL}\u2028\u2029\ufeff]{1,128}(?<!\s)`;
const HASH = String.raw`\$6\$(?:rounds=[1-9]\d{3,8}\$)?[.\/0-9A-Za-z]{8,16}\$[.\/0-9A-Za-z]{86}`;
const FILE = `@${PATH}`;
const LOGIN = `[^:${CONTROL}]{1,128}`;
const PASSWORD = String.raw`(?!\s|\$6\$)[^${CONTROL}\u2028\u2029\ufeff]{1,128}(?<!\s)`;

/** A text of one of these forms, all of it. */
export function textOf(...forms: readonly string[]): JsonShape {
  return { type: 'string', pattern: `^(?:${forms.join('|')})$` };
}

export function anyOf(...shapes: readonly JsonShape[]): JsonShape {
  return { anyOf: shapes };
}

export function orNothing(shape: JsonShape): JsonShape {
  return anyOf(shape, { type: 'null' });
}

/** Wherever a list is taken, one value is too. Without `most` the list may be of any length. */
export function oneOrMany(item: JsonShape, { least = 0, most = 0 } = {}): JsonShape {
  const bounds = { ...(least === 0 ? {} : { minItems: least }), ...(most === 0 ? {} : { maxItems: most }) };
  return anyOf({ type: 'array', items: item, ...bounds }, item);
}

export const TEXT: JsonShape = { type: 'string' };
const PORT: JsonShape = { type: 'integer', minimum: 1, maximum: 65_535 };

export const PATH_SHAPE = textOf(PATH);
export const LABEL_SHAPE = textOf(LABEL);
/** A host name in canonical form. */
export const CANONICAL_SHAPE: JsonShape = { ...textOf(String.raw`${LABEL}(?:\.${LABEL})*`), maxLength: 254 };
export const DOMAIN_SHAPE = textOf(DOMAIN);

/** TCP addresses to listen at, those and Unix sockets, and those and what is handed over. */
const TCP_ADDRESS = `(?!(?:fd|systemd|unix):)${HOST_PORT}`;
const UNIX = `unix:${PATH}`;
export const TCP_LISTEN_SHAPE = anyOf(textOf(TCP_ADDRESS), PORT);
export const LISTEN_SHAPE = anyOf(textOf(TCP_ADDRESS, UNIX), PORT);
export const HANDED_OVER_SHAPE = anyOf(
  textOf(TCP_ADDRESS, UNIX, String.raw`fd:(?:0|[1-9]\d{0,6})`, 'systemd:[!-9;-~]{1,255}'),
  PORT,
);

/** A server to dial. */
export const REMOTE_SHAPE = textOf(
  ...[NAME, IP_4].map((host) => `${host}(?::${NOT_ZERO})?`),
  IP_6,
  String.raw`\[${IP_6}\](?::${NOT_ZERO})?`,
);

const NETWORK_4 = String.raw`${IP_4}(?:\/(?:\d|[12]\d|3[0-2]))?`;
const NETWORK_6 = String.raw`(?=(?:[^:]*:){2})[0-9a-fA-F.:]+(?:\/(?:\d|[1-9]\d|1[01]\d|12[0-8]))?`;
export const NETWORK_SHAPE = textOf(NETWORK_4, NETWORK_6);

/** What lets an agent in, what an agent shows, what an API asks for. */
export const SECRET_SHAPE = textOf(SECRET, HASH, FILE);
export const SHOWN_SECRET_SHAPE = textOf(SECRET, FILE);
export const CREDENTIAL_SHAPE = textOf(FILE, `(?!@)${LOGIN}:(?:${PASSWORD}|${HASH})`);
/** Who a secret belongs to. */
export const LOGIN_SHAPE = textOf(LOGIN);

export const PORTS_SHAPE = anyOf(textOf(PORTS), PORT);
export const CONNECT_SHAPE = textOf(
  ...[String.raw`\*`, DOMAIN].flatMap((name) => [`${name}(?::${PORTS})?`, String.raw`\[${name}\](?::${PORTS})?`]),
);
export const DESTINATION_SHAPE = textOf(
  NETWORK_6,
  String.raw`\[${NETWORK_6}\](?::${PORTS})?`,
  ...[NETWORK_4, DOMAIN].flatMap((host) => [`${host}(?::${PORTS})?`, String.raw`\[${host}\](?::${PORTS})?`]),
);

/** A host of an entry of `certificates`. */
export const HOST_PATTERN_SHAPE = textOf(String.raw`\*`, String.raw`\/[\s\S]+\/`, DOMAIN);

const SCHEME = (word: string) => Array.from(word, (letter) => `[${letter.toUpperCase()}${letter}]`).join('');
const PLAIN_TARGETS = [NOT_ZERO, UNIX, `${HOST_PORT}(?<!:0+)`, ...['http', 'tcp'].map((word) => `${SCHEME(word)}:.+`)];
/** What an agent joins streams to; what a server does, which speaks no TLS to it. */
export const TARGET_SHAPE = anyOf(textOf(...PLAIN_TARGETS, `${SCHEME('https')}:.+`), PORT);
export const BACKEND_SHAPE = anyOf(textOf(...PLAIN_TARGETS), PORT);
/** `Host` towards a target. */
export const HOST_SHAPE = textOf(String.raw`(?:${ANY_LABEL}\.)*${ANY_LABEL}\.?(?::${NOT_ZERO})?`);

/** `a`, `a-b`, `a-`, `-b`. */
const ends = (unit: string) => `(?:(?:${unit})(?:-(?:${unit})?)?|-(?:${unit}))`;
const TIME = String.raw`(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?`;
const TOKEN = [
  ends(String.raw`\d{4}-\d\d-\d\d`),
  ends(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'].map(SCHEME).join('|')),
  `(?:${TIME}-(?:${TIME})?|-${TIME})`,
].join('|');
export const RANGE_SHAPE = textOf(String.raw`[ \t]*(?:${TOKEN})(?:[ \t]+(?:${TOKEN}))*[ \t]*`);

/** A text without control characters. */
export function printable(most: number): JsonShape {
  return textOf(`[^${CONTROL}]{1,${most}}`);
}
