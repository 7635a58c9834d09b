import { isIP } from 'node:net';
import type { TargetAddress } from '../agent/options.ts';
import { parseHostPort } from '../core/address.ts';
import { parseUnixPath } from './addresses.ts';

/** `localhost`, so that a service that listens on `::1` only (many development servers) is reached too. */
const HERE = 'localhost';

/** Schemes and the ports that they stand for; 0: one must be given. */
const PORTS: ReadonlyMap<string, number> = new Map([
  ['http:', 80],
  ['https:', 443],
  ['tcp:', 0],
]);

/** What people may give as a target. */
export const TARGET_ALLOWED =
  '"http://host:port", "https://host:port", "tcp://host:port", "unix:/path", "host:port" or a port';

/**
 * A target as people write it: a port, `host:port`, `unix:path` (relative to `folder`) or a URL without user, path or query
 * (`http`, `https`, `tcp`). Null for anything else.
 */
export function parseTarget(value: unknown, folder: string): TargetAddress | null {
  const text = typeof value === 'number' ? String(value) : value;
  // A URL's parser would drop blanks without a word.
  if (typeof text !== 'string' || (!text.startsWith('unix:') && /[\0-\x20]/.test(text))) return null;
  if (text.startsWith('unix:')) {
    const path = parseUnixPath(text, folder);
    return path === null ? null : { kind: 'unix', path };
  }
  const plain = parseHostPort(text, HERE);
  if (plain !== null) return tcpTarget(plain.host, plain.port);
  const { bare, zone } = withoutZone(text);
  const url = URL.parse(bare);
  const port = url === null ? undefined : PORTS.get(url.protocol);
  if (url === null || port === undefined || !isBare(url)) return null;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const target = tcpTarget(host + zone, url.port === '' ? port : Number(url.port));
  if (target === null || url.protocol === 'tcp:') return target;
  return url.protocol === 'https:' ? { ...target, kind: 'https' } : { ...target, http: true };
}

/** A URL whose host is an IPv6 address with a zone (`[fe80::1%eth0]`, `%25` for RFC 6874): its parser takes none. */
function withoutZone(text: string): { bare: string; zone: string } {
  const match = /^([a-z]+:\/\/\[[\da-f:.]+)%(?:25(?!\]))?([\w.-]+)(\].*)$/i.exec(text);
  return match === null ? { bare: text, zone: '' } : { bare: `${match[1]}${match[3]}`, zone: `%${match[2]}` };
}

/** Paths pass as visitors send them, and credentials have no place in a target. */
function isBare(url: URL): boolean {
  return (
    url.username === '' && url.password === '' && /^\/?$/.test(url.pathname) && url.search === '' && url.hash === ''
  );
}

/** Names on a private network need not be host names of the internet: `my_service` is one in a compose file. */
function tcpTarget(host: string, port: number): { kind: 'tcp'; host: string; port: number } | null {
  const known = isIP(host) !== 0 || (host.length <= 254 && /^[\w.-]+$/.test(host));
  return known && port >= 1 ? { kind: 'tcp', host, port } : null;
}
