import { z } from 'zod';
import { isCanonicalName, toDomain } from '../core/host-name.ts';
import { parsePattern } from '../core/pattern.ts';
import { LISTEN_ADDRESSES, parseHandedOver, parseTcpListen } from './addresses.ts';
import {
  anything,
  count,
  duration,
  field,
  flag,
  listOf,
  matching,
  oneOf,
  orNull,
  pathText,
  schemaName,
  size,
  text,
} from './fields.ts';
import type { Keys } from './section.ts';
import { CANONICAL_SHAPE, HANDED_OVER_SHAPE, HOST_PATTERN_SHAPE, TCP_LISTEN_SHAPE } from './shapes.ts';

const MANY = 1_000_000;

const tcpAddresses = () => listOf('"host:port", "[v6]:port" or a port', parseTcpListen, TCP_LISTEN_SHAPE);

/** A path of HTTP, and nothing that must be escaped in one. */
export const servicePath = () => matching('a path such as "/.well-known/backdial-agent"', /^\/[\w.~!$&'()*+,;=:@/-]*$/);

/** What stalled readers may hold. */
export const memory = () => size(1_000_000, Number.MAX_SAFE_INTEGER, '; 1M or more');

const stealthStatus = () => count(400, 599);
const concurrency = () => count(1, MANY);

function serverSchema(folder: string) {
  return z.strictObject({
    $schema: schemaName(),
    listen: anything(),
    certificates: anything(),
    domains: pathText(),
    name: orNull(
      text(
        'a host name in canonical form, or null',
        (value) => (isCanonicalName(value) ? value : null),
        CANONICAL_SHAPE,
      ),
    ),
    state: orNull(pathText()),
    service: servicePath(),
    headersSize: size(1_000, 1_048_576, '; from 1k to 1MB'),
    bodySize: size(),
    idleTimeout: duration(),
    readTimeout: duration(),
    writeTimeout: duration(),
    connections: count(0, MANY),
    connectionsPerAddress: count(0, MANY),
    unavailable: stealthStatus(),
    transaction: flag(),
    redirect: orNull(listOf(LISTEN_ADDRESSES, (value) => parseHandedOver(value, folder), HANDED_OVER_SHAPE)),
    admin: anything(),
    tunnelMemory: memory(),
    memory: memory(),
    proxy: anything(),
    grants: anything(),
    sni: anything(),
    drain: duration(),
    log: anything(),
  });
}

/** The keys of a server's file (design 6.2); relative paths are relative to `folder`. */
export function serverKeys(folder: string): Keys<ReturnType<typeof serverSchema>> {
  const notYet = ['registry', 'workers'];
  return { schema: serverSchema(folder), notYet };
}

const CERTIFICATE_SCHEMA = z.strictObject({
  hosts: listOf(
    'an exact name, "*.suffix", "/regex/" or "*"',
    (value) => {
      const pattern = typeof value === 'string' ? parseHostPattern(value) : null;
      return pattern === null ? null : [pattern];
    },
    HOST_PATTERN_SHAPE,
  ),
  cert: pathText(),
  key: pathText(),
});

/** The keys of one of `certificates`. */
export const CERTIFICATE_KEYS = {
  schema: CERTIFICATE_SCHEMA,
  notYet: [],
  required: ['hosts', 'cert', 'key'],
} satisfies Keys<typeof CERTIFICATE_SCHEMA>;

const DOMAIN_SCHEMA = z.strictObject({
  $schema: schemaName(),
  active: flag(),
  secret: anything(),
  certificates: orNull(pathText()),
  networks: anything(),
  tls: oneOf('terminate', 'passthrough'),
  listen: tcpAddresses(),
  target: anything(),
  proxyProtocol: orNull(
    field('1, 2 or null', (value) => (value === 1 || value === 2 ? value : null), { enum: [1, 2] }),
  ),
  concurrency: concurrency(),
  balance: oneOf('round-robin', 'least-streams', 'random'),
  forward: anything(),
  grants: anything(),
  // null: as in the server's file.
  bodySize: orNull(size()),
  transaction: orNull(flag()),
  unavailable: orNull(stealthStatus()),
  clients: anything(),
});

/** The keys of a server's domain file (design 6.3). */
export const SERVER_DOMAIN_KEYS = {
  schema: DOMAIN_SCHEMA,
  notYet: [],
} satisfies Keys<typeof DOMAIN_SCHEMA>;

/** A host of a certificate in canonical form; null when it is none. */
function parseHostPattern(pattern: string): string | null {
  if (pattern === '*') return pattern;
  if (pattern.length > 2 && pattern.startsWith('/') && pattern.endsWith('/')) {
    // Strangers choose the names that it is matched with.
    return typeof parsePattern(pattern.slice(1, -1)) === 'string' ? null : pattern;
  }
  return toDomain(pattern);
}
