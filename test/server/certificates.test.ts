import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { BackdialError } from '../../src/core/errors.ts';
import { Certificates } from '../../src/server/certificates.ts';
import { issueCertificate, testCertificate } from '../support/certificates.ts';
import { findTool } from '../support/tools.ts';

const PAIR = testCertificate();

/** Certificates whose entries have these hosts; all with the same pair, for only the choice is looked at. */
function withHosts(...lists: readonly string[][]): Certificates {
  return new Certificates(lists.map((hosts) => ({ hosts, cert: PAIR.cert, key: PAIR.key })));
}

function invalid(...patterns: readonly RegExp[]) {
  return (error: unknown) => {
    assert.ok(error instanceof BackdialError, String(error));
    assert.equal(error.code, 'config-invalid');
    for (const pattern of patterns) assert.match(error.message, pattern);
    return true;
  };
}

describe('the certificate of a name', () => {
  test('is that of the first entry that matches, whatever the kinds of its hosts', () => {
    const certificates = withHosts(
      ['a.test', '*.b.test'],
      ['/^x[0-9]+\\.test$/'],
      ['x1.test', '*.test'],
      ['*'],
      ['z.test'],
    );
    const expected: Record<string, number> = {
      'a.test': 0,
      'www.b.test': 0,
      'x1.test': 1,
      'x22.test': 1,
      'y.test': 2,
      'b.test': 2,
      'z.test': 2,
      'example.com': 3,
      test: 3,
    };
    assert.equal(withHosts(['a.test'], ['/a/']).select('a.test'), 0);
    for (const [name, index] of Object.entries(expected)) assert.equal(certificates.select(name), index, name);
  });

  test('`*.suffix` stands for exactly one label, as in the certificates themselves', () => {
    const certificates = withHosts(['*.example.com']);
    assert.equal(certificates.select('www.example.com'), 0);
    assert.equal(certificates.select('example.com'), -1);
    assert.equal(certificates.select('a.b.example.com'), -1);
  });

  test('without `*` there is none for an unknown name nor for a client without SNI', () => {
    const certificates = withHosts(['a.test'], ['/b/']);
    assert.equal(certificates.select('c.test'), -1);
    assert.equal(certificates.select(null), -1);
  });

  test('`*` answers clients without SNI too', () => {
    assert.equal(withHosts(['a.test'], ['*']).select(null), 1);
  });

  test('hosts are compared in canonical form', () => {
    assert.equal(withHosts(['WWW.Example.com', 'faß.de']).select('www.example.com'), 0);
    assert.equal(withHosts(['WWW.Example.com', 'faß.de']).select('xn--fa-hia.de'), 0);
  });
});

test('the regular expression of a host takes no more time than the name has letters, whatever it is', () => {
  const certificates = withHosts(['/^(([a-z])+)+$/']);
  const start = performance.now();
  assert.equal(certificates.select(`${'a'.repeat(31)}.test`), -1);
  // Node's own engine takes more than 10 s.
  assert.ok(performance.now() - start < 5_000);
  assert.equal(certificates.select('aaa'), 0);
});

describe('an entry is refused', () => {
  test('when the key is not that of the certificate, naming the entry', () => {
    const other = issueCertificate(['DNS:other.test']);
    const entries = [
      { hosts: ['a.test'], cert: PAIR.cert, key: PAIR.key },
      { hosts: ['b.test', '*'], cert: PAIR.cert, key: other.key },
    ];
    const message = /certificates\[1\] \(b\.test, \*\): `key` is not the key of `cert`/;
    assert.throws(() => new Certificates(entries), invalid(message));
  });

  test('when certificate or key is none; all problems are named at once, and no key is shown', () => {
    const entries = [
      { hosts: ['a.test'], cert: 'nonsense', key: PAIR.key },
      { hosts: ['b.test'], cert: PAIR.cert, key: 'secret nonsense' },
    ];
    assert.throws(
      () => new Certificates(entries),
      (error: Error) => {
        assert.ok(!error.message.includes('nonsense'));
        return invalid(
          /certificates\[0\] \(a\.test\): `cert` is no PEM/,
          /certificates\[1\] \(b\.test\): `key` is no PEM/,
        )(error);
      },
    );
  });

  test('when its key is too small for OpenSSL', () => {
    const arguments_ = ['req', '-x509', '-newkey', 'rsa:1024', '-nodes', '-subj', '/CN=a', '-keyout', '-', '-out', '-'];
    const pem = execFileSync(findTool('openssl'), arguments_, { stdio: 'pipe' }).toString();
    assert.throws(() => new Certificates([{ hosts: ['*'], cert: pem, key: pem }]), invalid(/too small/));
  });

  test('when a host is none of the four kinds', () => {
    for (const host of ['', 'a_b.test', '*.*.test', 'a.*', '/[/', '//', '/(?=a)/', '**']) {
      assert.throws(() => withHosts([host]), invalid(/certificates\[0\]/), host);
    }
    assert.throws(() => withHosts([]), invalid(/`hosts` is empty/));
  });
});
