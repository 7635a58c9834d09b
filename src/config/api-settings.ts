import { z } from 'zod';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import { isLocalAddress } from '../core/loopback.ts';
import { Secret } from '../core/secret.ts';
import { GOOD_SECRET_BYTES, isSecretHash, isWeakSecret, secretFault } from '../core/secret-rules.ts';
import { parseListen } from './addresses.ts';
import { anything, listOf } from './fields.ts';
import { readGiven } from './secrets.ts';
import type { Keys, Section } from './section.ts';
import { LISTEN_SHAPE } from './shapes.ts';

/** Where the API of a server (`admin`) or of an agent (`api`) listens, and what it asks for. */
export interface ApiSettings {
  /** At least one. */
  readonly listen: readonly SocketAddress[];
  /** Null: every address of `listen` is one that only this machine reaches. */
  readonly token: Secret | null;
}

function apiSchema(folder: string) {
  return z.strictObject({
    listen: listOf(
      '"host:port", "[v6]:port", a port or "unix:/path"',
      (value) => parseListen(value, folder),
      LISTEN_SHAPE,
    ),
    token: anything(),
  });
}

/** The keys of `admin` and of `api`; a relative path is relative to `folder`. */
export function apiKeys(folder: string): Keys<ReturnType<typeof apiSchema>> {
  return { schema: apiSchema(folder), notYet: [], required: ['listen'] };
}

/**
 * Reads `admin` or `api`; null where there is none, and after a problem. Without a token every address must be one that only
 * this machine reaches.
 */
export async function readApi(section: Section | null, folder: string): Promise<ApiSettings | null> {
  if (section === null) return null;
  const { listen } = section.read(apiKeys(folder));
  const given = section.child('token');
  const token = given === null ? null : await readToken(given, folder);
  if (listen === undefined) return null;
  if (listen.length === 0) section.problem('found an empty list; allowed: at least one address', ['listen']);
  const open = listen.find((address) => !isLocalAddress(address));
  if (given === null && open !== undefined) {
    const local = '127.0.0.1:PORT, [::1]:PORT, localhost:PORT, unix:/path';
    section.problem(`${formatAddress(open)} is reached from elsewhere; allowed without a \`token\`: ${local}`, [
      'listen',
    ]);
  }
  return { listen, token };
}

async function readToken(section: Section, folder: string): Promise<Secret | null> {
  const given = await readGiven(section, folder, { what: 'the token', kinds: 'a text or "@file"' });
  if (given === null) return null;
  const fault = isSecretHash(given.text) ? 'is a hash; allowed: the token itself' : secretFault(given.text);
  if (fault !== null) {
    section.problem(`${given.what} ${fault}`);
    return null;
  }
  if (isWeakSecret(given.text)) section.warn(`${given.what} is short; ${GOOD_SECRET_BYTES} bytes or more are advised`);
  return new Secret(given.text);
}
