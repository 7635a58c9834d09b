import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { z } from 'zod';
import type { Network } from '../core/address.ts';
import type { PortRange } from '../core/connect-grant.ts';
import { toDomain } from '../core/host-name.ts';
import { isLogin, MAX_LOGIN_BYTES } from '../core/login-rules.ts';
import type { ConnectGrant, DestinationGrant, GrantOptions, IdentityOptions } from '../server/options.ts';
import { anything, listOf, mismatch, orNull, text } from './fields.ts';
import { parseNetwork } from './networks.ts';
import { readSecrets } from './secrets.ts';
import type { Keys, Section, Understood } from './section.ts';
import { CONNECT_SHAPE, DOMAIN_SHAPE, LOGIN_SHAPE, PORTS_SHAPE } from './shapes.ts';

/** Entries of one list; more are another program's to know. */
const MAX_ENTRIES = 1_000;

const PORTS = 'a port or a range such as "2000-2999"';
const PATTERN = 'a host name such as "www.example.com", or "*.dev.example.com"';
const DESTINATION = '"10.0.0.0/8:5432", "[2001:db8::/32]:5432", "db.lan:5432", or one of these without a port';
const CONNECT = '"db.internal:5432", "*.testdom", "*", with or without a port';

const GRANT_FIELDS = {
  domains: listOf(PATTERN, (value) => one(typeof value === 'string' ? toDomain(value) : null), DOMAIN_SHAPE),
  ports: listOf(PORTS, (value) => one(parsePorts(value)), PORTS_SHAPE),
  destinations: anything(),
  connect: listOf(CONNECT, (value) => one(parseConnect(value)), CONNECT_SHAPE),
};

const GRANTS_SCHEMA = z.strictObject(GRANT_FIELDS);

/** The keys of `grants` in a server's domain file. */
export const GRANTS_KEYS = { schema: GRANTS_SCHEMA, notYet: [] } satisfies Keys<typeof GRANTS_SCHEMA>;

const IDENTITY_SCHEMA = z.strictObject({
  identity: orNull(
    text(
      `1 to ${MAX_LOGIN_BYTES} bytes without a colon and control characters`,
      (value) => (isLogin(value) ? value : null),
      LOGIN_SHAPE,
    ),
  ),
  secret: anything(),
  certificate: orNull(text(PATTERN, toDomain, DOMAIN_SHAPE)),
  ...GRANT_FIELDS,
});

/** The keys of one of `grants` in a server's file. */
export const IDENTITY_KEYS = { schema: IDENTITY_SCHEMA, notYet: [] } satisfies Keys<typeof IDENTITY_SCHEMA>;

/** Reads `grants` of a domain: what whoever serves it may do. Null where it is not there. */
export function readGrants(section: Section | null): GrantOptions | null {
  return section === null ? null : grantsOf(section, section.read(GRANTS_KEYS));
}

/** Reads `grants` of a server: identities. `folder` is that of the file, for `@file`. */
export async function readIdentities(section: Section | null, folder: string): Promise<IdentityOptions[]> {
  const identities = new Map<string, IdentityOptions>();
  const items = section?.items() ?? [];
  if (items.length > MAX_ENTRIES) section?.problem(`found ${items.length} entries; at most ${MAX_ENTRIES} are allowed`);
  for (const item of items.slice(0, MAX_ENTRIES)) {
    const identity = await readIdentity(item, resolve(folder));
    if (identity === null) continue;
    if (identities.has(identity.identity)) {
      item.problem(`the identity ${identity.identity} is there already; one entry has all of its grants`, ['identity']);
    }
    identities.set(identity.identity, identity);
  }
  return [...identities.values()];
}

async function readIdentity(section: Section, folder: string): Promise<IdentityOptions | null> {
  const fields = section.read(IDENTITY_KEYS);
  const given = section.child('secret');
  const secrets = await readSecrets(given, { folder, hashes: true });
  const certificate = fields.certificate ?? null;
  if ((given === null || given.value === '' || given.items().length === 0) && section.child('certificate') === null) {
    section.problem('found neither `secret` nor `certificate`; an identity needs one, or nobody could prove it', [
      'secret',
    ]);
  }
  const grants = grantsOf(section, fields);
  // Nothing but a certificate has to be shown: it needs no name for that, but one for the log.
  const identity = fields.identity ?? (given === null ? certificate : null);
  if (identity === null) {
    if (section.child('identity') === null && (given !== null || section.child('certificate') === null))
      section.problem('found nothing; who shows a secret shows the name with it', ['identity']);
    return null;
  }
  return { ...grants, identity, secrets, certificate };
}

function grantsOf(section: Section, { domains, ports, connect }: Understood<typeof GRANTS_SCHEMA>): GrantOptions {
  return Object.freeze({
    domains: domains ?? [],
    ports: ports ?? [],
    destinations: readDestinations(section.child('destinations')),
    connect: connect ?? [],
  });
}

function readDestinations(section: Section | null): DestinationGrant[] {
  const items = section?.items() ?? [];
  if (items.length > MAX_ENTRIES) section?.problem(`found ${items.length} entries; at most ${MAX_ENTRIES} are allowed`);
  return items.slice(0, MAX_ENTRIES).flatMap((item) => {
    const destination = parseDestination(item.value);
    if (typeof destination !== 'string') return [destination];
    item.problem(destination);
    return [];
  });
}

/** A destination; or what is wrong with it, as a sentence. */
export function parseDestination(value: unknown): DestinationGrant | string {
  const parts = typeof value === 'string' ? split(value) : null;
  if (parts === null) return mismatch(value, DESTINATION);
  const ports = parts.ports === null ? null : parsePorts(parts.ports);
  if (parts.ports !== null && ports === null) return mismatch(value, `${PORTS} after the colon`);
  const host = parseHost(parts.host);
  return typeof host === 'string' || 'address' in host ? { host, ports } : host.fault;
}

function parseHost(host: string): string | Network | { readonly fault: string } {
  if (!host.includes('/') && isIP(host) === 0) {
    return toDomain(host) ?? { fault: mismatch(host, DESTINATION) };
  }
  const network = parseNetwork(host);
  return typeof network === 'string' ? { fault: network } : network;
}

function parseConnect(value: unknown): ConnectGrant | null {
  const parts = typeof value === 'string' ? split(value) : null;
  const name = parts === null ? null : parts.host === '*' ? '*' : toDomain(parts.host);
  if (parts === null || name === null) return null;
  const ports = parts.ports === null ? null : parsePorts(parts.ports);
  return ports === null && parts.ports !== null ? null : { name, ports };
}

/** `host[:ports]`, `[v6]` and `[v6]:ports`; an IPv6 address or network alone has no port. */
function split(given: string): { readonly host: string; readonly ports: string | null } | null {
  const match = /^(?:\[([^[\]]+)\]|([^:[\]]+))(?::([\d-]+))?$/.exec(given);
  if (match !== null) return { host: match[1] ?? match[2] ?? '', ports: match[3] ?? null };
  return /^[0-9a-fA-F.:/]+$/.test(given) && given.split(':').length > 2 ? { host: given, ports: null } : null;
}

/** A port, or a range of ports; null for anything else. */
export function parsePorts(value: unknown): PortRange | null {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(typeof value === 'number' ? `${value}` : `${value ?? ''}`);
  if (match === null || (typeof value !== 'number' && typeof value !== 'string')) return null;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first >= 1 && first <= last && last <= 65_535 ? { first, last } : null;
}

function one<T>(value: T | null): [T] | null {
  return value === null ? null : [value];
}
