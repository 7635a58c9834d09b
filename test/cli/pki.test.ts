import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type PkiFlags, runPki } from '../../src/cli/commands/pki.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';

const skip = missingTools('openssl');
const VERIFY = ['verify', '-x509_strict', '-CAfile', 'ca.pem', '-crl_check', '-CRLfile', 'crl.pem'];

describe('backdial pki', () => {
  it('lets what it issued issue nothing further', { skip }, async () => {
    await withPki(async (pki, openssl) => {
      await pki('ca');
      await pki('agent', { dns: ['a.example'] });
      const signed = ['-CA', 'agent.pem', '-CAkey', 'agent.key', '-nodes', '-keyout', 'k'];
      openssl('req', '-new', '-x509', ...signed, '-subj', '/CN=x', '-out', 'x.pem');
      const { status, stderr } = openssl('verify', '-CAfile', 'ca.pem', '-untrusted', 'agent.pem', 'x.pem');
      assert.notEqual(status, 0);
      assert.match(stderr, /invalid CA certificate/);
    });
  });

  it('revokes by file and by number, keeps what was revoked, and OpenSSL agrees', { skip }, async () => {
    await withPki(async (pki, openssl, folder) => {
      await pki('ca');
      const [first = ''] = await pki('agent', { dns: ['a.example'], out: 'a', authority: '' });
      const serial = /serial (\w+)$/.exec(first)?.[1] ?? '';
      await pki('agent', { dns: ['b.example'], out: 'b', authority: '' });
      await pki('agent', { dns: ['c.example'], out: 'c', authority: '' });
      const file = join(folder, 'b/agent.pem');
      const once = await pki('revoke', { certificates: [file] });
      assert.match(once.join('\n'), /^revoked: .*b\/agent\.pem, serial .*\nwrote .*crl\.pem: 1 revoked, ends .*Z;/);
      const more = await pki('revoke', { certificates: [serial, file] });
      assert.match(more.join('\n'), /^revoked: by its number.*\nrevoked already, since .*\nwrote .*: 2 revoked/);
      const verify = (path: string) => openssl(...VERIFY, path);
      assert.match(verify('a/agent.pem').stderr, /certificate revoked/);
      assert.match(verify('b/agent.pem').stderr, /certificate revoked/);
      assert.equal(verify('c/agent.pem').stdout, 'c/agent.pem: OK\n');
      assert.match(openssl('crl', '-in', 'crl.pem', '-noout', '-crlnumber').stdout, /=(0x)?0?3\n/i);
    });
  });

  it('takes a name as it is, whatever it would mean in a text form of names', { skip }, async () => {
    await withPki(async (pki, openssl, folder) => {
      await pki('ca', { name: 'The "CA" \\, #1' });
      for (const name of ['Jane, Doe "x"', '""', 'a\\0ab', '\\', '#1', 'a, CN=admin', 'a+O=b', ' \u00fc ', 'Jane']) {
        await pki('client', { name, force: true });
        const { subject } = new X509Certificate(readFileSync(join(folder, 'client.pem'))).toLegacyObject();
        assert.deepEqual({ ...subject }, { CN: name });
        assert.equal(openssl(...VERIFY, 'client.pem').stdout, 'client.pem: OK\n');
        // Renewed, it is the same.
        await pki('client', { force: true });
        const renewed = new X509Certificate(readFileSync(join(folder, 'client.pem')));
        assert.deepEqual({ ...renewed.toLegacyObject().subject }, { CN: name });
      }
    });
  });

  it('overwrites nothing, and renews with --force: the same names, another key', async () => {
    await withPki(async (pki, _openssl, folder) => {
      await pki('ca');
      await pki('server', { dns: ['a.example'], ip: ['::1'], name: 'The server' });
      const read = (file: string) => readFileSync(join(folder, file), 'utf8');
      const FILES = ['ca.pem', 'ca.key', 'server.pem', 'server.key'];
      const before = FILES.map(read);
      for (const again of [() => pki('ca'), () => pki('server', { dns: ['b.example'] })]) {
        await assert.rejects(again, { code: 'input-invalid', message: /is there already; --force replaces it$/ });
      }
      assert.deepEqual(FILES.map(read), before);
      assert.match((await pki('server', { force: true })).at(-1) ?? '', /^pin sha256\/\S{44}$/);
      const [old, renewed] = [before[2] ?? '', read('server.pem')].map((pem) => new X509Certificate(pem));
      assert.ok(old !== undefined && renewed !== undefined);
      assert.deepEqual([renewed.subject, renewed.subjectAltName], [old.subject, old.subjectAltName]);
      assert.notEqual(renewed.serialNumber, old.serialNumber);
      assert.notEqual(read('server.key'), before[3]);
      // The certificate before it is still valid: it can be taken back.
      assert.equal(read('server.pem.old'), before[2]);
      assert.match(
        (await pki('server', { force: true })).at(-2) ?? '',
        /\.old, is valid until .*`backdial pki revoke \S+\.old`/,
      );
      assert.match((await pki('ca', { force: true })).at(-1) ?? '', /what it issued is not valid under the new one$/);
      assert.deepEqual([read('ca.pem.old'), read('ca.key.old')], before.slice(0, 2));
      assert.notEqual(read('ca.pem'), before[0]);
    });
  });

  it('refuses what is wrong, saying what is allowed, and writes nothing then', async () => {
    await withPki(async (pki, _openssl, folder) => {
      await assert.rejects(pki('agent', { dns: ['a'] }), {
        message: /no authority found at .*; `backdial pki ca` makes one/,
      });
      await pki('ca', { days: '100' });
      writeFileSync(join(folder, 'file'), '');
      const before = readdirSync(folder);
      const revoke = (...certificates: string[]) => pki('revoke', { certificates });
      const wrongs: [() => Promise<string[]>, RegExp][] = [
        [() => pki('agent'), /an agent needs --dns/],
        [() => pki('server'), /a server needs --dns or --ip/],
        [() => pki('agent', { dns: ['1.2.3.4'] }), /"1\.2\.3\.4"; allowed: a host name; for an address use --ip/],
        [() => pki('agent', { dns: ['*'] }), /allowed: a host name, or \*\. and one/],
        [() => pki('server', { ip: ['1.2.3'] }), /"1\.2\.3"; allowed: an IPv4 or IPv6 address/],
        [() => pki('agent', { dns: ['a'], days: '0' }), /--days: a whole number from 1 to 36500/],
        [() => pki('agent', { dns: ['a'], days: '1.5' }), /--days: a whole number from 1 to 36500/],
        [() => pki('agent', { dns: ['a'], days: '101' }), /--days 101: ca\.pem itself ends in 99 days/],
        [() => pki('client', { name: 'x'.repeat(65) }), /allowed: 1 to 64 characters that can be printed/],
        [() => pki('client', { name: 'a\nb' }), /--name "a\\nb"; allowed: 1 to 64 characters that can be printed/],
        [() => pki('client', { certificates: ['x'] }), /`pki client` takes no "x"/],
        [() => pki('ca', { dns: ['a'], force: true }), /an authority has no --dns/],
        [() => pki('client', { out: 'file', authority: '' }), /the folder .*file is a file/],
        [
          () => pki('client', { out: 'a/b', authority: '' }),
          /the folder .* cannot be made: the one above it does not exist/,
        ],
        [() => revoke('nowhere.pem'), /nowhere\.pem does not exist/],
        [() => revoke(join(folder, 'ca.pem')), /ca\.pem is the authority itself/],
        [() => revoke(join(folder, 'ca.key')), /ca\.key is no certificate in PEM/],
        [() => pki('revoke', { dns: ['a'] }), /takes certificate files or serial numbers, not names/],
      ];
      for (const [attempt, message] of wrongs) await assert.rejects(attempt(), { name: 'BackdialError', message });
      assert.deepEqual(readdirSync(folder), before);
    });
  });

  it('uses no authority whose files are of two minds, and no list of another one', async () => {
    await withPki(async (pki, _openssl, folder) => {
      await pki('ca', { out: 'one', days: '100' });
      await pki('ca', { out: 'two' });
      const copy = (file: string) => copyFileSync(join(folder, 'two', file), join(folder, 'one', file));
      await pki('agent', { dns: ['a'], authority: 'one' });
      // What an authority issues ends with it at the latest.
      const [ca, leaf] = ['one/ca.pem', 'agent.pem'].map(
        (file) => new X509Certificate(readFileSync(join(folder, file))),
      );
      assert.deepEqual(leaf?.validToDate, ca?.validToDate);
      const foreign = pki('revoke', { certificates: [join(folder, 'agent.pem')], out: 'two' });
      await assert.rejects(foreign, { message: /was not issued by this ca\.pem/ });
      copy('crl.pem');
      const revoked = { certificates: ['01'], out: 'one' };
      await assert.rejects(pki('revoke', revoked), {
        message: /is no revocation list of ca\.pem; --force replaces it/,
      });
      assert.match((await pki('revoke', { ...revoked, force: true })).at(-1) ?? '', /: 1 revoked/);
      copy('ca.key');
      const mixed = pki('client', { authority: 'one' });
      await assert.rejects(mixed, { message: /the authority in .*one: ca\.key is not the key of ca\.pem/ });
    });
  });
});

type Pki = (kind: PkiFlags['kind'], flags?: Partial<PkiFlags>) => Promise<string[]>;
type OpenSsl = (...args: string[]) => { status: number | null; stdout: string; stderr: string };

/** In this process: starting the program for each step would cost a minute. `out` and `authority` are below `folder`. */
async function withPki(action: (pki: Pki, openssl: OpenSsl, folder: string) => Promise<void>): Promise<void> {
  await withFolder({}, (folder) =>
    action(
      (kind, { out = '', authority, ...flags } = {}) =>
        runPki({
          kind,
          force: false,
          out: join(folder, out),
          ...(authority === undefined ? {} : { authority: join(folder, authority) }),
          ...flags,
        }),
      (...args) => spawnSync(findTool('openssl'), args, { cwd: folder, encoding: 'utf8' }),
      folder,
    ),
  );
}
