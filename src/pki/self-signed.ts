// @peculiar/x509 injects its providers by decorators, so the polyfill has to come first.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { ALGORITHM, CLOCK_SKEW_MS, DAY_MS, generalName, keyPem, makeKeys, serialNumber } from './material.ts';

export interface SelfSignedOptions {
  /** Host names (`*.example.com` too) and IP addresses that the certificate is for; at least one. */
  readonly hosts: readonly string[];
  /** How long it is valid. */
  readonly days: number;
}

/** A new ECDSA P-256 key and a certificate that it signed itself, both PEM (PKCS #8). For servers that agents know by pin. */
export async function makeSelfSigned(options: SelfSignedOptions): Promise<{ cert: string; key: string }> {
  const keys = await makeKeys();
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: ['Backdial self-signed'] }],
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + options.days * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      // No CA: whoever trusts this one certificate must not trust others that its key might sign.
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(options.hosts.map(generalName)),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: `${certificate.toString('pem')}\n`, key: await keyPem(keys) };
}
