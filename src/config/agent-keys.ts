import { z } from 'zod';
import { isCanonicalName } from '../core/host-name.ts';
import { parseRemote } from './addresses.ts';
import { anything, count, duration, field, flag, listOf, orNull, pathText, someDuration, text } from './fields.ts';
import type { Keys } from './section.ts';
import { servicePath } from './server-keys.ts';
import { parseTarget, TARGET_ALLOWED } from './target.ts';

const AGENT_SCHEMA = z.strictObject({
  domains: pathText(),
  state: orNull(pathText()),
  connectTimeout: someDuration(),
  readTimeout: duration(),
  writeTimeout: duration(),
  drain: duration(),
  log: anything(),
});

/** The keys of an agent's file (design 6.4). */
export const AGENT_KEYS = {
  schema: AGENT_SCHEMA,
  notYet: ['tunnelMemory', 'memory', 'api'],
} satisfies Keys<typeof AGENT_SCHEMA>;

const DOMAIN_SCHEMA = z.strictObject({
  active: flag(),
  secret: anything(),
  identity: orNull(
    text('1 to 128 printable characters without a colon, or null', (value) =>
      /^[^\p{Cc}:]{1,128}$/u.test(value) ? value : null,
    ),
  ),
  remote: orNull(
    listOf('"host" or "host:port"', (value) => {
      const remote = parseRemote(value);
      return remote === null ? null : [remote];
    }),
  ),
  service: servicePath(),
  insecure: flag(),
  ca: orNull(pathText()),
  pin: orNull(
    text('"sha256/" and 44 characters of base64, or null', (value) =>
      /^sha256\/[A-Za-z0-9+/]{43}=$/.test(value) ? value : null,
    ),
  ),
  instance: orNull(
    text('one label of a-z, 0-9 and -, or null', (value) =>
      isCanonicalName(value) && !value.includes('.') ? value : null,
    ),
  ),
  connections: count(1, 64),
  concurrency: count(1, 1_000_000),
  targets: anything(),
});

/** The keys of an agent's domain file (design 6.4). */
export const AGENT_DOMAIN_KEYS = {
  schema: DOMAIN_SCHEMA,
  notYet: ['certificate', 'key', 'ports'],
} satisfies Keys<typeof DOMAIN_SCHEMA>;

function targetSchema(folder: string) {
  return z.strictObject({
    target: field(TARGET_ALLOWED, (value) => parseTarget(value, folder)),
    tls: anything(),
  });
}

/** The keys of one of `targets`; a relative path is relative to `folder`. */
export function targetKeys(folder: string): Keys<ReturnType<typeof targetSchema>> {
  const notYet = ['name', 'method', 'path', 'rewrite', 'query', 'host', 'proxyProtocol'];
  return { schema: targetSchema(folder), notYet, required: ['target'] };
}

const TLS_SCHEMA = z.strictObject({ verify: flag(), ca: orNull(pathText()) });

/** The keys of a target's `tls`. */
export const TLS_KEYS = { schema: TLS_SCHEMA, notYet: [] } satisfies Keys<typeof TLS_SCHEMA>;
