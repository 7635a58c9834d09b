import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { readAuthorities } from '../pki/authorities.ts';
import { readCrls } from '../pki/crl.ts';
import type { Section } from './section.ts';

/** Reads a file of certificates (PEM), named by this section's text; null after a problem. */
export async function readCertificateFile(section: Section, folder: string): Promise<string | null> {
  const pem = await readNamed(section, folder, 'certificate file');
  if (pem === null) return null;
  for (const block of pem.text.match(CERTIFICATE) ?? ['']) {
    const fault = certificateFault(block);
    if (fault === null) continue;
    section.problem(`the certificate file ${pem.file} ${fault}`);
    return null;
  }
  warnOfDates(section, pem.text, pem.file);
  return pem.text;
}

/**
 * Reads a file of authorities for agents' or visitors' certificates; null after a problem. Their revocation lists may be in it, or in
 * `crl.pem` beside it, where a list of other authorities is left out.
 */
export async function readAuthorityFile(section: Section, folder: string): Promise<string | null> {
  const pem = await readCertificateFile(section, folder);
  if (pem === null) return null;
  const listFile = join(dirname(resolve(folder, String(section.value))), 'crl.pem');
  const read = await section.readFile(listFile);
  if (!read.ok && (!read.missing || section.lists.has(listFile))) {
    const more = read.missing ? ': who is on it would be let in; put it back, or restart to do without one' : '';
    section.problem(`the revocation list ${listFile} ${read.fault}${more}`);
    return null;
  }
  for (const [file, text] of [[section.value, pem] as const, [listFile, read.ok ? read.text : ''] as const]) {
    const fault = listFault(text, read.ok && file === listFile);
    if (fault === null) continue;
    section.problem(`the file ${file} ${fault}`);
    return null;
  }
  if (read.ok) section.lists.add(listFile);
  const all = read.ok ? `${pem.trimEnd()}\n${read.text}` : pem;
  warnOfLists(section, all);
  return all;
}

/** What is wrong with the lists in a text: a part of one, as while it is copied, would let in who was revoked. */
function listFault(text: string, needsOne: boolean): string | null {
  try {
    const count = readCrls(text).length;
    if (count < text.split('-----BEGIN X509 CRL-----').length - 1) return 'has an X509 CRL that is cut off';
    return count === 0 && needsOne ? 'has no X509 CRL; allowed: PEM, or no such file' : null;
  } catch (error) {
    return (error as Error).message;
  }
}

function warnOfLists(section: Section, pem: string): void {
  for (const { nextUpdate } of readAuthorities(pem).lists) {
    const leftMs = (nextUpdate?.getTime() ?? Number.POSITIVE_INFINITY) - Date.now();
    const end = nextUpdate?.toISOString();
    if (leftMs <= 0)
      section.warn(`the revocation list ended on ${end}: nobody of its authority is let in; make a new one`);
    else if (leftMs <= WARN_BEFORE_MS) section.warn(`the revocation list ends on ${end}; make a new one`);
  }
}

/** Warns of a certificate that ends soon. */
export function warnOfEnd(section: Section, pem: string): void {
  const { validToDate } = new X509Certificate(pem);
  const leftMs = validToDate.getTime() - Date.now();
  if (leftMs > 0 && leftMs <= WARN_BEFORE_MS)
    section.warn(`the certificate ends on ${validToDate.toISOString()}; renew it`);
}

const WARN_BEFORE_MS = 14 * 86_400_000;

/** Reads a private key (PEM) and checks that it is that of `cert`; null after a problem. Others' access is warned about. */
export async function readKeyFile(section: Section, folder: string, cert: string | null): Promise<string | null> {
  const pem = await readNamed(section, folder, 'key file');
  if (pem === null) return null;
  if (pem.open) section.warn(`others may read the key file ${pem.file}; chmod 600 it`);
  const key = parseKey(pem.text);
  const fault = typeof key === 'string' ? key : cert === null ? null : pairFault(cert, key, pem.text);
  if (fault === null) return pem.text;
  section.problem(`the key file ${pem.file} ${fault}`);
  return null;
}

const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

async function readNamed(section: Section, folder: string, what: string) {
  if (typeof section.value !== 'string') return null;
  const file = resolve(folder, section.value);
  const read = await section.readFile(file);
  if (read.ok) return { file, text: read.text, open: read.open };
  const more = read.missing ? '; is its path right, from the folder of this file?' : '';
  section.problem(`the ${what} ${file} ${read.fault}${more}`);
  return null;
}

function certificateFault(pem: string): string | null {
  try {
    if (pem !== '') new X509Certificate(pem);
    return pem === '' ? 'has no certificate; allowed: PEM, the leaf first' : null;
  } catch {
    return 'has a certificate that cannot be parsed; allowed: PEM, the leaf first';
  }
}

function parseKey(pem: string): KeyObject | string {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) return 'has no private key; allowed: PEM';
  if (/ENCRYPTED/.test(pem)) return 'is encrypted; allowed: a key without a passphrase';
  try {
    return createPrivateKey(pem);
  } catch {
    return 'has a private key that cannot be parsed; allowed: PEM';
  }
}

/** Also what OpenSSL itself refuses to serve with: keys that are too small, curves that it lacks. */
function pairFault(cert: string, key: KeyObject, pem: string): string | null {
  if (!new X509Certificate(cert).checkPrivateKey(key)) return 'does not match the certificate';
  try {
    createSecureContext({ cert, key: pem });
    return null;
  } catch (error) {
    return `cannot be used for TLS: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function warnOfDates(section: Section, pem: string, file: string): void {
  const { validFromDate, validToDate } = new X509Certificate(pem);
  const now = new Date();
  if (validToDate < now) section.warn(`the certificate in ${file} ended on ${validToDate.toISOString()}`);
  if (validFromDate > now) section.warn(`the certificate in ${file} begins on ${validFromDate.toISOString()} only`);
}
