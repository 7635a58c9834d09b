import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { BackdialError } from '../core/errors.ts';
import type { Authority } from '../pki/authority.ts';
import { type Crl, canonicalSerial, readCrls } from '../pki/crl.ts';
import { exists, openAuthority, readText, writeTo } from './pki-files.ts';

const FILE = 'crl.pem';
const DAY_MS = 86_400_000;

/** What goes into a revocation list. */
export interface Revocations {
  readonly revoked: readonly { readonly serial: string; readonly date: Date }[];
  /** Of the list: each is above the one before. */
  readonly number: number;
}

/** Writes `crl.pem`, in the place of the one before. It ends with the authority, unless `days` is given. */
export async function writeRevocations(
  folder: string,
  authority: Authority,
  { revoked, number }: Revocations,
  days?: number,
): Promise<{ file: string; end: string }> {
  const last = authority.certificate.validToDate;
  const nextUpdate = days === undefined ? last : new Date(Math.min(last.getTime(), Date.now() + days * DAY_MS));
  const file = join(folder, FILE);
  await writeTo(file, await authority.revocationList({ revoked, number, nextUpdate }), { mode: 0o644, force: true });
  return { file, end: nextUpdate.toISOString().replace(/\.\d+Z/, 'Z') };
}

/** What `backdial pki revoke` was asked for. */
export interface RevokeArguments {
  /** Certificate files, or serial numbers in hex. */
  readonly what: readonly string[];
  /** Folder of the authority and of `crl.pem`. */
  readonly out: string;
  readonly days?: number;
  /** A list of another authority is replaced. */
  readonly force: boolean;
}

/** Adds certificates to the revocation list; with none, makes the same list anew. Gives what to tell the user. */
export async function revoke(given: RevokeArguments): Promise<string[]> {
  const { authority } = await openAuthority([given.out]);
  const before = await listBefore(given, authority);
  const revoked = new Map(before?.revoked ?? []);
  const told: string[] = [];
  for (const text of given.what) {
    const { serial, label } = await serialOf(text, authority);
    const since = revoked.get(serial);
    if (since === undefined) revoked.set(serial, new Date());
    const date = since === undefined ? '' : ` already, since ${since.toISOString().replace(/\.\d+Z/, 'Z')}`;
    told.push(`revoked${date}: ${label}, serial ${serial}`);
  }
  const list = {
    revoked: Array.from(revoked, ([serial, date]) => ({ serial, date })),
    number: (before?.number ?? 0) + 1,
  };
  const { file, end } = await writeRevocations(given.out, authority, list, given.days);
  return [
    ...told,
    `wrote ${file}: ${revoked.size} revoked, ends ${end}; copy it beside the authority's file of each server`,
  ];
}

async function listBefore({ out, force }: RevokeArguments, authority: Authority): Promise<Crl | null> {
  const file = join(out, FILE);
  if (!(await exists(file))) return null;
  const text = await readText(file);
  let lists: Crl[];
  try {
    lists = readCrls(text);
  } catch (error) {
    if (force) return null;
    throw new BackdialError('input-invalid', `${file} ${(error as Error).message}; --force replaces it`, {
      cause: error,
    });
  }
  const own = lists.find((list) => list.isSignedBy(authority.certificate.publicKey));
  if (own !== undefined || force) return own ?? null;
  throw new BackdialError('input-invalid', `${file} is no revocation list of ca.pem; --force replaces it`);
}

async function serialOf(text: string, authority: Authority): Promise<{ serial: string; label: string }> {
  const isSerial = /^[0-9a-f]{2}(:?[0-9a-f]{2})*$/i.test(text);
  if (isSerial && !(await exists(text))) return { serial: canonicalSerial(text), label: 'by its number' };
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(await readText(text));
  } catch (error) {
    if (error instanceof BackdialError) throw error;
    throw new BackdialError('input-invalid', `${text} is no certificate in PEM`, { cause: error });
  }
  if (certificate.fingerprint256 === authority.certificate.fingerprint256) {
    throw new BackdialError('input-invalid', `${text} is the authority itself; stop trusting it instead`);
  }
  if (!certificate.verify(authority.certificate.publicKey)) {
    throw new BackdialError('input-invalid', `${text} was not issued by this ca.pem`);
  }
  return { serial: canonicalSerial(certificate.serialNumber), label: text };
}
