import { z } from 'zod';
import { parseHostPort } from '../core/address.ts';
import { canonicalName, isCanonicalName } from '../core/host-name.ts';
import { isLogin, MAX_LOGIN_BYTES } from '../core/login-rules.ts';
import { parseRemote } from './addresses.ts';
import {
  anything,
  count,
  duration,
  field,
  flag,
  listOf,
  matching,
  orNull,
  pathText,
  schemaName,
  someDuration,
  text,
} from './fields.ts';
import { isObject, type Keys } from './section.ts';
import { memory, servicePath } from './server-keys.ts';
import { HOST_SHAPE, LABEL_SHAPE, LOGIN_SHAPE, printable, REMOTE_SHAPE, TARGET_SHAPE } from './shapes.ts';
import { parseTarget, TARGET_ALLOWED } from './target.ts';

const AGENT_SCHEMA = z.strictObject({
  $schema: schemaName(),
  domains: pathText(),
  state: orNull(pathText()),
  connectTimeout: someDuration(),
  readTimeout: duration(),
  writeTimeout: duration(),
  api: anything(),
  tunnelMemory: memory(),
  memory: memory(),
  drain: duration(),
  log: anything(),
});

/** The keys of an agent's file (design 6.4). */
export const AGENT_KEYS = {
  schema: AGENT_SCHEMA,
  notYet: [],
} satisfies Keys<typeof AGENT_SCHEMA>;

const DOMAIN_SCHEMA = z.strictObject({
  $schema: schemaName(),
  active: flag(),
  secret: anything(),
  identity: orNull(
    text(
      `1 to ${MAX_LOGIN_BYTES} bytes without a colon and control characters, or null`,
      (value) => (isLogin(value) ? value : null),
      LOGIN_SHAPE,
    ),
  ),
  certificate: orNull(pathText()),
  key: orNull(pathText()),
  remote: orNull(
    listOf(
      '"host" or "host:port"',
      (value) => {
        const remote = parseRemote(value);
        return remote === null ? null : [remote];
      },
      REMOTE_SHAPE,
    ),
  ),
  service: servicePath(),
  insecure: flag(),
  ca: orNull(pathText()),
  pin: orNull(matching('"sha256/" and 44 characters of base64, or null', /^sha256\/[A-Za-z0-9+/]{43}=$/)),
  instance: orNull(
    text(
      'one label of a-z, 0-9 and -, or null',
      (value) => (isCanonicalName(value) && !value.includes('.') ? value : null),
      LABEL_SHAPE,
    ),
  ),
  connections: count(1, 64),
  concurrency: count(1, 1_000_000),
  targets: anything(),
  ports: anything(),
});

/** The keys of an agent's domain file (design 6.4). */
export const AGENT_DOMAIN_KEYS = {
  schema: DOMAIN_SCHEMA,
  notYet: [],
} satisfies Keys<typeof DOMAIN_SCHEMA>;

const TARGET_SCHEMA = z.strictObject({
  name: orNull(
    text(
      '1 to 64 printable characters, or null',
      (value) => (/^[^\p{Cc}]{1,64}$/u.test(value) ? value : null),
      printable(64),
    ),
  ),
  method: orNull(text('a regular expression, or null', (value) => value)),
  path: orNull(text('a regular expression, or null', (value) => value)),
  target: anything(),
  rewrite: orNull(text('a text such as "/$1", or null', (value) => value)),
  query: field('an object such as { key: "value", other: null }', readQuery, {
    type: 'object',
    propertyNames: { minLength: 1 },
    additionalProperties: { type: ['string', 'null'] },
  }),
  host: text(
    '"forwarded", "target", or a host with or without port',
    (value) => (isHost(value) ? value : null),
    HOST_SHAPE,
  ),
  proxyProtocol: orNull(
    field('1, 2 or null', (value) => (value === 1 || value === 2 ? value : null), { enum: [1, 2] }),
  ),
  tls: anything(),
});

/** The keys of one of `targets`. */
export const TARGET_KEYS = { schema: TARGET_SCHEMA, notYet: [], required: ['target'] } satisfies Keys<
  typeof TARGET_SCHEMA
>;

function weightedSchema(folder: string) {
  return z.strictObject({
    url: field(TARGET_ALLOWED, (value) => parseTarget(value, folder), TARGET_SHAPE),
    weight: count(1, 1_000),
  });
}

/** The keys of one of the targets of a weighted list; a relative path is relative to `folder`. */
export function weightedKeys(folder: string): Keys<ReturnType<typeof weightedSchema>> {
  return { schema: weightedSchema(folder), notYet: [], required: ['url'] };
}

const TLS_SCHEMA = z.strictObject({ verify: flag(), ca: orNull(pathText()) });

/** The keys of a target's `tls`. */
export const TLS_KEYS = { schema: TLS_SCHEMA, notYet: [] } satisfies Keys<typeof TLS_SCHEMA>;

function readQuery(value: unknown): Readonly<Record<string, string | null>> | null {
  if (!isObject(value)) return null;
  const entries = Object.entries(value).filter((entry): entry is [string, string | null] => {
    const [name, content] = entry;
    return name !== '' && (content === null || typeof content === 'string') && isWellFormed(name + (content ?? ''));
  });
  return entries.length === Object.keys(value).length ? Object.fromEntries(entries) : null;
}

/** Half of a surrogate pair has no bytes. */
function isWellFormed(text: string): boolean {
  return text.isWellFormed();
}

/** Also the words that mean one: `forwarded` and `target` are host names by their form. */
function isHost(text: string): boolean {
  const parsed = text.includes(':') ? parseHostPort(text) : { host: text, port: 1 };
  return parsed !== null && parsed.port > 0 && canonicalName(parsed.host) !== null;
}
