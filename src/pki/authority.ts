// @peculiar/x509 injects its providers by decorators, so the polyfill has to come first.
import 'reflect-metadata';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { BackdialError } from '../core/errors.ts';
import {
  ALGORITHM,
  CLOCK_SKEW_MS,
  DAY_MS,
  generalName,
  keyPem,
  makeKeys,
  type Signing,
  serialNumber,
  signingOf,
} from './material.ts';

/** A certificate and its key, PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** What a leaf is for: its extended key usage. Agents and visitors are clients of TLS. */
export type LeafKind = 'server' | 'agent' | 'client';

export interface LeafOptions {
  readonly kind: LeafKind;
  /** Common name of the subject, 1 to 64 characters. */
  readonly name: string;
  /** DNS names (`*.testdom` too), canonical. */
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly notAfter: Date;
}

/** A certificate authority that can sign. */
export class Authority {
  readonly certificate: X509Certificate;
  readonly #parsed: x509.X509Certificate;
  readonly #signing: Signing;

  /** Checks a pair that was read from files. Fails with `input-invalid`, saying what is wrong with which of the two. */
  constructor({ cert, key }: Pair) {
    this.certificate = readCertificate(cert);
    if (!this.certificate.ca) throw new BackdialError('input-invalid', 'ca.pem is no authority (CA:FALSE)');
    if (this.certificate.validToDate.getTime() <= Date.now()) {
      throw new BackdialError('input-invalid', `ca.pem ended on ${this.certificate.validToDate.toISOString()}`);
    }
    const privateKey = readKey(key);
    if (!this.certificate.checkPrivateKey(privateKey)) {
      throw new BackdialError('input-invalid', 'ca.key is not the key of ca.pem');
    }
    const signing = signingOf(privateKey);
    if (signing === null) throw new BackdialError('input-invalid', 'ca.key cannot sign here; allowed: ECDSA and RSA');
    this.#signing = signing;
    this.#parsed = new x509.X509Certificate(this.certificate.raw);
  }

  /** A new authority: a self-signed pair that may sign leaves and revocation lists, but no further authority. */
  static async make(options: { readonly name: string; readonly days: number }): Promise<Pair> {
    const keys = await makeKeys();
    const now = Date.now();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serialNumber(),
      name: commonName(options.name),
      notBefore: new Date(now - CLOCK_SKEW_MS),
      notAfter: new Date(now + options.days * DAY_MS),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return { cert: `${certificate.toString('pem')}\n`, key: await keyPem(keys) };
  }

  /** Issues a leaf with a new key. */
  async issue(options: LeafOptions): Promise<Pair> {
    const keys = await makeKeys();
    const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
    const names = [...options.dns, ...options.ip].map(generalName);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: commonName(options.name),
      issuer: this.#parsed.subjectName,
      notBefore: new Date(Math.max(Date.now() - CLOCK_SKEW_MS, this.certificate.validFromDate.getTime())),
      notAfter: options.notAfter,
      signingAlgorithm: this.#signing.algorithm,
      signingKey: this.#signing.key,
      publicKey: keys.publicKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([options.kind === 'server' ? serverAuth : clientAuth]),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#parsed.publicKey),
      ],
    });
    return { cert: `${certificate.toString('pem')}\n`, key: await keyPem(keys) };
  }

  /** A revocation list, PEM (`X509 CRL`, as OpenSSL and Node want it). */
  async revocationList(list: {
    readonly revoked: readonly { readonly serial: string; readonly date: Date }[];
    readonly number: number;
    readonly nextUpdate: Date;
  }): Promise<string> {
    const crl = await x509.X509CrlGenerator.create({
      issuer: this.#parsed.subjectName,
      thisUpdate: new Date(Math.max(Date.now() - CLOCK_SKEW_MS, this.certificate.validFromDate.getTime())),
      nextUpdate: list.nextUpdate,
      entries: list.revoked.map(({ serial, date }) => ({ serialNumber: serial, revocationDate: date })),
      signingAlgorithm: this.#signing.algorithm,
      signingKey: this.#signing.key,
      extensions: [
        await x509.AuthorityKeyIdentifierExtension.create(this.#parsed.publicKey),
        new x509.Extension('2.5.29.20', false, integer(list.number)),
      ],
    });
    const body = Buffer.from(crl.rawData)
      .toString('base64')
      .replace(/.{64}(?=.)/g, '$&\n');
    return `-----BEGIN X509 CRL-----\n${body}\n-----END X509 CRL-----\n`;
  }
}

/** As it is: in a plain string the library would read quotes, backslashes and `#` as those of RFC 4514. */
function commonName(name: string): x509.Name {
  return new x509.Name([{ CN: [{ utf8String: name }] }]);
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new BackdialError('input-invalid', 'ca.pem is no certificate in PEM', { cause: error });
  }
}

function readKey(pem: string) {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new BackdialError('input-invalid', 'ca.key is no private key in PEM without a passphrase', { cause: error });
  }
}

/** A DER INTEGER of 0 or more. */
function integer(value: number): Uint8Array<ArrayBuffer> {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  const padded = (bytes[0] ?? 0) > 0x7f ? [0, ...bytes] : [...bytes];
  return Uint8Array.from([2, padded.length, ...padded]);
}
