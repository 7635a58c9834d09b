import { z } from 'zod';
import { isBanner, isLogin, MAX_BANNER_LENGTH, MAX_LOGIN_BYTES } from '../core/login-rules.ts';
import { neverHolds, timeRangeFault } from '../core/time-range.ts';
import type { ClientOptions, CredentialOptions } from '../server/options.ts';
import { anything, mismatch, orNull, pathText, text } from './fields.ts';
import { readNetworks } from './networks.ts';
import { readAuthorityFile } from './pem.ts';
import { checkSecret, readGiven } from './secrets.ts';
import type { Keys, Section } from './section.ts';
import { textOf } from './shapes.ts';

/** Logins and ranges of one domain; more are another program's to know. */
const MAX_ENTRIES = 1_000;
/** Passwords that one login may have; each hash among them costs CPU at every refusal. */
const MAX_PASSWORDS = 10;

const CLIENTS_SCHEMA = z.strictObject({
  networks: anything(),
  ranges: anything(),
  credentials: anything(),
  banner: orNull(
    text(
      `at most ${MAX_BANNER_LENGTH} characters of printable ASCII, or null`,
      (value) => (isBanner(value) ? value : null),
      textOf(`[ -~]{0,${MAX_BANNER_LENGTH}}`),
    ),
  ),
  certificates: orNull(pathText()),
});

/** The keys of `clients` in a server's domain file. */
export const CLIENTS_KEYS = { schema: CLIENTS_SCHEMA, notYet: [] } satisfies Keys<typeof CLIENTS_SCHEMA>;

/** Reads `clients`: who may visit a domain. Null where it is not there. Everything wrong with it is a problem. */
export async function readClients(section: Section | null, folder: string): Promise<ClientOptions | null> {
  if (section === null) return null;
  const { banner, certificates } = section.read(CLIENTS_KEYS);
  const file = certificates === undefined ? null : section.child('certificates');
  return {
    networks: readNetworks(section.child('networks')),
    ranges: readRanges(section.child('ranges')),
    credentials: await readCredentials(section.child('credentials'), folder),
    ...(banner === undefined ? {} : { banner }),
    certificates: file === null ? null : await readAuthorityFile(file, folder),
  };
}

function readRanges(section: Section | null): string[] {
  return itemsOf(section).flatMap((item) => {
    const { value } = item;
    if (typeof value !== 'string') item.problem(mismatch(value, 'a text such as "mon-fri 08:00-19:00"'));
    const fault = typeof value === 'string' ? timeRangeFault(value) : null;
    if (fault !== null) item.problem(fault);
    if (typeof value !== 'string' || fault !== null) return [];
    if (neverHolds(value))
      item.warn(`${JSON.stringify(value)} holds at no moment: all of its tokens must hold together`);
    return [value];
  });
}

/** Reads a list of logins with their passwords; `folder` is that of the file, for `@file`. */
export async function readCredentials(section: Section | null, folder: string): Promise<CredentialOptions[]> {
  const credentials: CredentialOptions[] = [];
  for (const item of itemsOf(section)) {
    const credential = await readCredential(item, folder);
    if (credential === null) continue;
    credentials.push(credential);
    if (credentials.filter(({ login }) => login === credential.login).length > MAX_PASSWORDS) {
      item.problem(`the login has more than ${MAX_PASSWORDS} passwords`);
    }
  }
  return credentials;
}

/** `login:password`; a password may have colons, a login may not. No message quotes either. */
async function readCredential(section: Section, folder: string): Promise<CredentialOptions | null> {
  const kinds = '"login:password", "login:$6$..." or "@file" with one of these';
  const given = await readGiven(section, folder, { what: 'the entry', kinds });
  if (given === null) return null;
  const colon = given.text.indexOf(':');
  const login = given.text.slice(0, Math.max(colon, 0));
  if (!isLogin(login)) {
    section.problem(
      `${given.what} has no login of 1 to ${MAX_LOGIN_BYTES} bytes in front of a colon; allowed: ${kinds}`,
    );
    return null;
  }
  const what = `the password of ${given.what}`;
  const password = checkSecret(section, { text: given.text.slice(colon + 1), what }, { hashes: true });
  return password === null ? null : { login, password };
}

function itemsOf(section: Section | null): Section[] {
  const items = section?.items() ?? [];
  if (items.length <= MAX_ENTRIES) return items;
  section?.problem(`found ${items.length} entries; at most ${MAX_ENTRIES} are allowed`);
  return [];
}
