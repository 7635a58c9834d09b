import assert from 'node:assert/strict';
import { execSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { matchesPin, pinOf } from '../../src/net/pin.ts';
import { issueCertificate, testCertificate } from '../support/certificates.ts';

test("the pin is the SHA-256 of the key's SubjectPublicKeyInfo, as OpenSSL computes it", () => {
  const { cert, certFile } = testCertificate();
  const steps = ['x509 -pubkey -noout', 'pkey -pubin -outform der', 'dgst -sha256 -binary', 'base64 -A'];
  const command = steps.map((step) => `openssl ${step}`).join(' | ');
  assert.equal(pinOf(cert), `sha256/${execSync(`< ${certFile} ${command}`)}`);
});

test('PEM and DER of a certificate have the same pin', () => {
  const { cert } = testCertificate();
  assert.equal(pinOf(new X509Certificate(cert).raw), pinOf(cert));
});

test("only the certificate's own pin matches", () => {
  const { cert } = testCertificate();
  const other = issueCertificate(['DNS:other.test']);
  const { raw } = new X509Certificate(cert);
  assert.ok(matchesPin(raw, pinOf(cert)));
  assert.ok(!matchesPin(raw, pinOf(other.cert)));
  assert.ok(!matchesPin(raw, pinOf(cert).toLowerCase()));
  assert.ok(!matchesPin(raw, ''));
});
