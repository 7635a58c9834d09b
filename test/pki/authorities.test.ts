import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { it } from 'node:test';
import { distrustOf, readAuthorities } from '../../src/pki/authorities.ts';
import { Authority } from '../../src/pki/authority.ts';
import { issueClientCertificate, testAuthority } from '../support/certificates.ts';

it('a certificate without a subject is judged as any other is', async () => {
  const ca = testAuthority();
  const certificate = new X509Certificate(issueClientCertificate('/', ca).cert);
  assert.equal(distrustOf([certificate], readAuthorities(ca.cert)), null);
  const revoked = [{ serial: certificate.serialNumber, date: new Date(0) }];
  const nextUpdate = new Date(Date.now() + 3_600_000);
  const list = await new Authority(ca).revocationList({ revoked, number: 1, nextUpdate });
  assert.equal(
    distrustOf([certificate], readAuthorities(`${ca.cert}\n${list}`)),
    '(no name) was revoked on 1970-01-01T00:00:00.000Z',
  );
});
