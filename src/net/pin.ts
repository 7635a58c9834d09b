import { createHash, timingSafeEqual, X509Certificate } from 'node:crypto';

/**
 * The pin of a certificate (PEM or DER): `sha256/` and the base64 of the SHA-256 of its SubjectPublicKeyInfo. It names the
 * key, so it survives a renewal of the certificate. Throws what OpenSSL says when the input is no certificate.
 */
export function pinOf(certificate: string | Buffer): string {
  const spki = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256/${createHash('sha256').update(spki).digest('base64')}`;
}

/** True when a peer's certificate (its `raw` DER) has the key that `pin` names. */
export function matchesPin(certificate: Buffer, pin: string): boolean {
  const found = Buffer.from(pinOf(certificate));
  const wanted = Buffer.from(pin);
  return found.length === wanted.length && timingSafeEqual(found, wanted);
}
