import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Authority } from '../../src/pki/authority.ts';
import { canonicalSerial, readCrls } from '../../src/pki/crl.ts';
import { makeAuthority } from '../support/certificates.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';

const DATE = new Date('2031-02-03T04:05:06Z');

describe('a revocation list', () => {
  it('is read as it was written: numbers, dates, end, issuer, signature', async () => {
    const pair = await Authority.make({ name: 'one', days: 30 });
    const authority = new Authority(pair);
    const revoked = [
      { serial: '00AB', date: DATE },
      { serial: 'FF00000000000000000000000000FF01', date: new Date('2060-01-01T00:00:00Z') },
    ];
    const pem = await authority.revocationList({ revoked, number: 300, nextUpdate: DATE });
    const [list, ...more] = readCrls(`before\n${pem}\nafter`);
    assert.ok(list !== undefined && more.length === 0);
    assert.deepEqual(
      [...list.revoked],
      [
        ['AB', DATE],
        ['FF00000000000000000000000000FF01', new Date('2060-01-01T00:00:00Z')],
      ],
    );
    assert.equal(list.number, 300);
    assert.deepEqual(list.nextUpdate, DATE);
    assert.ok(list.isSignedBy(authority.certificate.publicKey));
    const other = new X509Certificate((await Authority.make({ name: 'one', days: 30 })).cert);
    assert.equal(list.isSignedBy(other.publicKey), false);
    assert.equal(list.isSignedBy(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey), false);
  });

  it('of OpenSSL is read, too', { skip: missingTools('openssl') }, async () => {
    const ca = makeAuthority('lists');
    const conf = `[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha384\n`;
    const index = 'R\t320101000000Z\t300102030405Z,keyCompromise\t0A1B\tunknown\t/CN=gone\n';
    await withFolder({ conf, 'index.txt': index, number: '0F\n' }, async (cwd) => {
      const run = ['ca', '-config', 'conf', '-gencrl', '-crldays', '3', '-out', 'crl.pem'];
      execFileSync(findTool('openssl'), [...run, '-cert', ca.certFile, '-keyfile', ca.keyFile], { cwd, stdio: 'pipe' });
      const [list] = readCrls(readFileSync(`${cwd}/crl.pem`, 'utf8'));
      assert.deepEqual([...(list?.revoked ?? [])], [['A1B', new Date('2030-01-02T03:04:05Z')]]);
      assert.equal(list?.number, 15);
      assert.ok(list?.isSignedBy(new X509Certificate(ca.cert).publicKey));
    });
  });

  it('that is damaged is an error that says so, never another, whatever the bytes', async () => {
    const authority = new Authority(await Authority.make({ name: 'one', days: 30 }));
    const pem = await authority.revocationList({
      revoked: [{ serial: '01', date: DATE }],
      number: 1,
      nextUpdate: DATE,
    });
    const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    const wrap = (bytes: Uint8Array) =>
      `-----BEGIN X509 CRL-----\n${Buffer.from(bytes).toString('base64')}\n-----END X509 CRL-----`;
    const key = authority.certificate.publicKey;
    const change = fc.record({
      at: fc.nat(der.length - 1),
      to: fc.integer({ min: 1, max: 255 }),
      cut: fc.nat(der.length),
    });
    fc.assert(
      fc.property(change, ({ at, to, cut }) => {
        const bytes = Buffer.from(der);
        bytes[at] = (bytes[at] ?? 0) ^ to;
        for (const hostile of [bytes, bytes.subarray(0, cut)]) {
          try {
            // What can still be read was not signed like this.
            for (const list of readCrls(wrap(hostile))) assert.equal(list.isSignedBy(key), false);
          } catch (error) {
            assert.match((error as Error).message, /^has a revocation list that cannot be used \(/);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('knows a serial number in any form', () => {
    for (const form of ['0a:1B', '0A1B', 'a1b', '000A1B']) assert.equal(canonicalSerial(form), 'A1B');
    assert.equal(canonicalSerial('00'), '0');
  });
});
