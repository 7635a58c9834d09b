import { isIP } from 'node:net';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import type { ProxyOptions } from '../server/options.ts';
import { parseListen } from './addresses.ts';
import { readCredentials } from './clients.ts';
import { anything, listOf } from './fields.ts';
import type { Keys, Section } from './section.ts';
import { LISTEN_SHAPE } from './shapes.ts';

function proxySchema(folder: string) {
  return z.strictObject({
    listen: listOf(
      '"host:port", "[v6]:port", a port or "unix:/path"',
      (value) => parseListen(value, folder),
      LISTEN_SHAPE,
    ),
    credentials: anything(),
  });
}

/** The keys of `proxy` in a server's file; relative paths are relative to `folder`. */
export function proxyKeys(folder: string): Keys<ReturnType<typeof proxySchema>> {
  return { schema: proxySchema(folder), notYet: [], required: ['listen'] };
}

/** Reads `proxy`; null where there is none. `file`: that of the section. */
export async function readProxy(section: Section | null, file: string): Promise<ProxyOptions | null> {
  if (section === null) return null;
  const folder = resolve(dirname(file));
  const { listen } = section.read(proxyKeys(folder));
  const credentials = await readCredentials(section.child('credentials'), folder);
  if (listen?.length === 0) section.problem('found an empty list; allowed: at least one address', ['listen']);
  const open = listen?.find((address) => !isLoopback(address));
  if (credentials.length === 0 && section.child('credentials') === null && open !== undefined) {
    const at = formatAddress(open);
    section.warn(
      `others reach ${at}, and are refused there: a proxy without \`credentials\` is for this machine only`,
      ['listen'],
    );
  }
  return listen === undefined ? null : { listen, credentials };
}

function isLoopback(address: SocketAddress): boolean {
  if ('path' in address) return true;
  const { host } = address;
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
