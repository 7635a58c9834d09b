import { X509Certificate } from 'node:crypto';
import { toDomain } from '../core/host-name.ts';
import { type Crl, canonicalSerial, readCrls, readExtension } from './crl.ts';
import { DER, type DerValue, readAllDer, readDer, readSequence } from './der.ts';

/** Whom certificates are trusted from, and what was revoked: the `CERTIFICATE` and `X509 CRL` blocks of a PEM text. */
export interface Authorities {
  readonly certificates: readonly X509Certificate[];
  readonly lists: readonly Crl[];
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
/** Authorities between a leaf and one that is trusted. */
const MAX_CHAIN = 8;
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const ANY_USAGE = '2.5.29.37.0';
const BASIC_CONSTRAINTS = '2.5.29.19';
/** Critical extensions that are judged here or by OpenSSL when it reads the certificate: constraints, usage, names. */
const UNDERSTOOD: readonly string[] = [
  BASIC_CONSTRAINTS,
  '2.5.29.15',
  '2.5.29.37',
  '2.5.29.17',
  '2.5.29.35',
  '2.5.29.14',
];

/** Reads a PEM text. Throws an Error that says what is wrong with it. A list that none of the authorities signed is left out. */
export function readAuthorities(pem: string): Authorities {
  const certificates = (pem.match(BLOCK) ?? []).map((block) => new X509Certificate(block));
  if (certificates.length === 0) throw new Error('has no certificate; allowed: PEM');
  const lists = readCrls(pem).filter((list) => certificates.some(({ publicKey }) => isSigned(list, publicKey)));
  return { certificates, lists };
}

/**
 * Why a client's chain (the leaf first, then what it sent along) is not to be trusted; null when it is. As OpenSSL does: dates
 * of every certificate, signatures, basic constraints, path lengths, key usage, the purpose of the leaf, critical
 * extensions; and every list of an authority counts, for whose end the authority has to make a new one.
 */
export function distrustOf(chain: readonly X509Certificate[], { certificates, lists }: Authorities): string | null {
  const [leaf, ...sent] = chain;
  if (leaf === undefined) return 'no certificate was shown';
  if (leaf.keyUsage !== undefined && !leaf.keyUsage.some((usage) => usage === CLIENT_AUTH || usage === ANY_USAGE)) {
    return 'the certificate is not one for clients';
  }
  let current = leaf;
  for (let below = 0; below < MAX_CHAIN; below += 1) {
    const own = datesFault(current) ?? extensionFault(current);
    if (own !== null) return own;
    const trusted = issuerOf(current, certificates);
    const issuer = trusted ?? issuerOf(current, sent);
    if (issuer === null) {
      // For its time: whether there is an authority of the name that was claimed is not to be told by it.
      if (below === 0) current.verify(current.publicKey);
      return `the certificate is of none of the authorities (issuer ${oneLine(current.issuer)})`;
    }
    const fault = authorityFault(issuer, below) ?? revocationFault(current, issuer, lists);
    if (fault !== null) return fault;
    if (trusted !== null) return datesFault(trusted) ?? extensionFault(trusted);
    current = issuer;
  }
  return 'the chain is too long';
}

/** The DNS names of a certificate, canonical; what is none is left out. The common name is no name. */
export function dnsNames({ subjectAltName = '' }: X509Certificate): string[] {
  // Node quotes a name that has anything in it but what a name may have: such a one is none.
  return subjectAltName.split(', ').flatMap((part) => {
    const name = /^DNS:([\w.*-]+)$/.exec(part)?.[1];
    const canonical = name === undefined ? null : toDomain(name);
    return canonical === null || subjectAltName.includes('"') ? [] : [canonical];
  });
}

function issuerOf(certificate: X509Certificate, candidates: readonly X509Certificate[]): X509Certificate | null {
  return candidates.find((each) => certificate.checkIssued(each) && certificate.verify(each.publicKey)) ?? null;
}

function datesFault({ subject, validFromDate, validToDate }: X509Certificate): string | null {
  const now = Date.now();
  if (now < validFromDate.getTime()) return `${oneLine(subject)} begins on ${validFromDate.toISOString()} only`;
  return now > validToDate.getTime() ? `${oneLine(subject)} ended on ${validToDate.toISOString()}` : null;
}

/** `below`: how many authorities stand between it and the leaf. */
function authorityFault(issuer: X509Certificate, below: number): string | null {
  if (!issuer.ca) return `${oneLine(issuer.subject)} is no authority`;
  const most = pathLength(issuer);
  return most === null || below <= most ? null : `${oneLine(issuer.subject)} allows fewer authorities below it`;
}

function revocationFault(certificate: X509Certificate, issuer: X509Certificate, lists: readonly Crl[]): string | null {
  for (const list of lists) {
    if (!isSigned(list, issuer.publicKey)) continue;
    if (list.nextUpdate !== null && list.nextUpdate.getTime() < Date.now()) {
      return `the revocation list of ${oneLine(issuer.subject)} ended on ${list.nextUpdate.toISOString()}`;
    }
    const since = list.revoked.get(canonicalSerial(certificate.serialNumber));
    if (since !== undefined) return `${oneLine(certificate.subject)} was revoked on ${since.toISOString()}`;
  }
  return null;
}

function extensionFault(certificate: X509Certificate): string | null {
  const unknown = extensionsOf(certificate).find(({ id, isCritical }) => isCritical && !UNDERSTOOD.includes(id));
  return unknown === undefined ? null : `the critical extension ${unknown.id} is not understood`;
}

function pathLength(certificate: X509Certificate): number | null {
  const constraints = extensionsOf(certificate).find(({ id }) => id === BASIC_CONSTRAINTS);
  const length = constraints && readSequence(readDer(constraints.value)).find(({ tag }) => tag === DER.integer);
  return length === undefined ? null : Number.parseInt(length.content.toString('hex'), 16);
}

const EXTENSIONS = 0xa3;

function extensionsOf({ raw }: X509Certificate) {
  const [body] = readSequence(readDer(raw));
  const found: DerValue | undefined = readSequence(body).find(({ tag }) => tag === EXTENSIONS);
  return found === undefined ? [] : readSequence(readAllDer(found.content)[0]).map(readExtension);
}

const signed = new WeakMap<Crl, Map<string, boolean>>();

/** Remembered: a list may have a megabyte. */
function isSigned(list: Crl, key: X509Certificate['publicKey']): boolean {
  const known = signed.get(list) ?? new Map<string, boolean>();
  signed.set(list, known);
  const id = key.export({ format: 'der', type: 'spki' }).toString('base64');
  const before = known.get(id);
  if (before !== undefined) return before;
  let result = false;
  try {
    result = list.isSignedBy(key);
  } catch {
    // A key of another kind than the signature.
  }
  known.set(id, result);
  return result;
}

/** Of an empty name Node gives `undefined`, whatever its types say. */
function oneLine(name: string | undefined): string {
  return name?.replaceAll('\n', ', ') || '(no name)';
}
