import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { formatSubject } from '../../src/server/client-certificate.ts';
import { issueClientCertificate } from '../support/certificates.ts';

const formatted = (subject: string) => formatSubject(new X509Certificate(issueClientCertificate(subject).cert).subject);

describe('the subject of a visitor', () => {
  it('is that of RFC 2253: the most specific part first, every character in its place', () => {
    const subjects = {
      '/CN=Jane Doe': 'CN=Jane Doe',
      '/C=DE/O=Example, Inc./OU=R\\+D/CN=Jane "JD" Doe': 'CN=Jane \\"JD\\" Doe,OU=R\\+D,O=Example\\, Inc.,C=DE',
      '/O=a=b;c<d>/CN=#x ': 'CN=\\#x\\ ,O=a=b\\;c\\<d\\>',
      '/O=back\\\\slash/CN= x': 'CN=\\ x,O=back\\\\slash',
      '/C=DE/O=one+OU=two/CN=x': 'CN=x,O=one+OU=two,C=DE',
    };
    for (const [subject, text] of Object.entries(subjects)) {
      // The parts of a set have the order that the certificate's encoding gives them.
      assert.equal(formatted(subject)?.replace('OU=two+O=one', 'O=one+OU=two'), text);
    }
  });

  it('is ASCII: everything else is escaped as UTF-8', () => {
    assert.equal(formatted('/CN=Jürgen/O=☃'), 'O=\\E2\\98\\83,CN=J\\C3\\BCrgen');
    assert.equal(formatSubject('CN=\u{1f578}'), 'CN=\\F0\\9F\\95\\B8');
  });

  it('cannot break out of its header, nor hold another part than it has', () => {
    // What OpenSSL makes of a line break within a value.
    assert.equal(formatSubject('CN=a\\0D\\0AX-Admin: 1'), 'CN=a\\0D\\0AX-Admin: 1');
    assert.equal(formatSubject('CN=a\rX-Admin: 1'), 'CN=a\\0DX-Admin: 1');
    assert.equal(formatted('/CN=a,O=evil'), 'CN=a\\,O=evil');
  });

  it('is none where there is none, or where it is too long to be passed on whole', () => {
    assert.equal(formatSubject(''), null);
    // Names beside the subject are enough for a certificate to be valid.
    assert.equal(formatted('/'), null);
    assert.equal(formatSubject(`CN=${'x'.repeat(4_093)}`)?.length, 4_096);
    assert.equal(formatSubject(`CN=${'x'.repeat(4_094)}`), null);
  });
});
