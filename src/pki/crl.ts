import { type KeyObject, verify } from 'node:crypto';
import { DER, type DerValue, readDer, readOid, readSequence, readTime } from './der.ts';

/** A certificate revocation list (RFC 5280, section 5). */
export interface Crl {
  /** DER of the issuer's name. */
  readonly issuer: Buffer;
  readonly thisUpdate: Date;
  /** When it ends; null: never. */
  readonly nextUpdate: Date | null;
  /** Serial numbers in upper-case hex without leading zeros, and when they were revoked. */
  readonly revoked: ReadonlyMap<string, Date>;
  readonly number: number;
  /** Whether the key made this list. */
  isSignedBy(key: KeyObject): boolean;
}

const BLOCK = /-----BEGIN X509 CRL-----([^-]*)-----END X509 CRL-----/g;
const CRL_NUMBER = '2.5.29.20';
/** What a list may say that is understood here, or does not matter. */
const KNOWN_EXTENSIONS: readonly string[] = [CRL_NUMBER, '2.5.29.35'];
const REMOVE_FROM_CRL = 8;
const REASON = '2.5.29.21';

/** Every `X509 CRL` block of a PEM text. Throws an Error that says what is wrong with one of them. */
export function readCrls(pem: string): Crl[] {
  return Array.from(pem.matchAll(BLOCK), ([, base64 = '']) => readCrl(Buffer.from(base64, 'base64')));
}

/** A serial number in the form in which they are compared. */
export function canonicalSerial(hex: string): string {
  return hex
    .replaceAll(':', '')
    .toUpperCase()
    .replace(/^0+(?=.)/, '');
}

function readCrl(der: Buffer): Crl {
  try {
    const outer = readDer(der);
    if (outer.whole.length !== der.length) throw new RangeError('something follows it');
    const [list, algorithm, signature] = readSequence(outer);
    const fields = readSequence(list);
    // version is optional
    if (fields[0]?.tag === DER.integer) fields.shift();
    const [sameAlgorithm, issuer, thisUpdate, ...rest] = fields;
    if (algorithm === undefined || sameAlgorithm?.whole.equals(algorithm.whole) !== true) {
      throw new RangeError('two algorithms');
    }
    const isTime = rest[0]?.tag === DER.utcTime || rest[0]?.tag === DER.generalizedTime;
    const nextUpdate = isTime ? readTime(rest.shift()) : null;
    const entries = rest[0]?.tag === DER.sequence ? readSequence(rest.shift()) : [];
    const number = readExtensions(rest[0]);
    if (list === undefined || issuer === undefined || signature?.tag !== DER.bitString || signature.content[0] !== 0) {
      throw new RangeError('not a CRL');
    }
    const sign = algorithmOf(algorithm);
    return {
      issuer: issuer.whole,
      thisUpdate: readTime(thisUpdate),
      nextUpdate,
      revoked: new Map(entries.flatMap(readEntry)),
      number,
      isSignedBy: (key) => verify(sign, list.whole, key, signature.content.subarray(1)),
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`has a revocation list that cannot be used (${reason})`, { cause: error });
  }
}

function readEntry(entry: DerValue): [string, Date][] {
  const [serial, date, extensions] = readSequence(entry);
  if (serial?.tag !== DER.integer) throw new RangeError('an entry without serial number');
  for (const { id, isCritical, value } of extensions === undefined ? [] : readSequence(extensions).map(readExtension)) {
    if (id === REASON && readDer(value).content[0] === REMOVE_FROM_CRL) return [];
    // An entry of another issuer (an indirect CRL), among others: read as ours it would mean another certificate.
    if (isCritical && id !== REASON) throw new RangeError(`the critical extension ${id} of an entry is not known`);
  }
  return [[canonicalSerial(serial.content.toString('hex')), readTime(date)]];
}

/** The number of the list; a critical extension that is not understood makes it unusable (section 5.2). */
function readExtensions(value: DerValue | undefined): number {
  if (value === undefined) return 0;
  let number = 0;
  for (const { id, isCritical, value: content } of readSequence(readDer(value.content)).map(readExtension)) {
    if (isCritical && !KNOWN_EXTENSIONS.includes(id)) throw new RangeError(`the critical extension ${id} is not known`);
    if (id === CRL_NUMBER) number = Number.parseInt(readDer(content).content.toString('hex') || '0', 16);
  }
  return number;
}

/** One Extension of RFC 5280, section 4.2. */
export function readExtension(value: DerValue): { id: string; isCritical: boolean; value: Buffer } {
  const [id, ...rest] = readSequence(value);
  const isCritical = rest[0]?.tag === DER.boolean && rest.shift()?.content[0] !== 0;
  const [content] = rest;
  if (content?.tag !== DER.octetString) throw new RangeError('not an extension');
  return { id: readOid(id), isCritical, value: content.content };
}

/** The digest of a signature's algorithm; null for those that have their own. */
function algorithmOf(value: DerValue | undefined): string | null {
  const [id] = readSequence(value);
  const found = DIGESTS[readOid(id)];
  if (found === undefined) throw new RangeError('the algorithm of its signature is not known');
  return found;
}

const DIGESTS: Readonly<Record<string, string | null>> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.3.101.112': null,
  '1.3.101.113': null,
};
