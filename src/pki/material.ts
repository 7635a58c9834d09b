import { createPrivateKey, type KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import type * as x509 from '@peculiar/x509';

/** Of every key that is made here. */
export const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
export const DAY_MS = 86_400_000;
/** Certificates are valid from an hour ago, for peers whose clock is behind. */
export const CLOCK_SKEW_MS = 3_600_000;

/** A new ECDSA P-256 key. */
export function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

/** The private key as PEM (PKCS #8). */
export async function keyPem({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey));
  return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }).export({
    format: 'pem',
    type: 'pkcs8',
  }) as string;
}

/** 16 random bytes as hex; positive and without a leading zero byte, as DER wants it. */
export function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** A host name (`*.example.com` too) or an IP address as it stands in a certificate. */
export function generalName(host: string): x509.JsonGeneralName {
  return isIP(host) === 0 ? { type: 'dns', value: host } : { type: 'ip', value: host };
}

/** What signs in a key's name. */
export interface Signing {
  readonly algorithm: webcrypto.EcdsaParams | webcrypto.Algorithm;
  readonly key: webcrypto.CryptoKey;
}

const EC_HASHES: Readonly<Record<string, { readonly namedCurve: string; readonly hash: string }>> = {
  prime256v1: { namedCurve: 'P-256', hash: 'SHA-256' },
  secp384r1: { namedCurve: 'P-384', hash: 'SHA-384' },
  secp521r1: { namedCurve: 'P-521', hash: 'SHA-512' },
};

/** How a key signs certificates; null for a kind of key that cannot here. */
export function signingOf(key: KeyObject): Signing | null {
  const curve = EC_HASHES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (key.asymmetricKeyType === 'ec' && curve !== undefined) {
    const algorithm = { name: 'ECDSA', ...curve };
    return { algorithm, key: key.toCryptoKey(algorithm, false, ['sign']) };
  }
  if (key.asymmetricKeyType !== 'rsa') return null;
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  return { algorithm, key: key.toCryptoKey(algorithm, false, ['sign']) };
}
