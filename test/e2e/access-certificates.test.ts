import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import * as http2 from 'node:http2';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type AccessKit, withAccess } from '../support/access.ts';
import { issueClientCertificate, makeAuthority, type TestCertificate, testAuthority } from '../support/certificates.ts';
import { findTool } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { within } from '../support/within.ts';

const authority = makeAuthority('Authority of visitors');
const jane = issueClientCertificate('/C=DE/O=Büro, Nord/CN=Jane Doe', authority);

const OPTIONS = {
  domains: {
    'open.example.com': '',
    'mine.example.com': 'clients: { certificates: "ca.pem" }',
    'same.example.com': 'clients: { certificates: "same-ca.pem" }',
    'other.example.com': 'clients: { certificates: "other-ca.pem" }',
  },
  files: {
    'domains/ca.pem': authority.cert,
    'domains/same-ca.pem': authority.cert,
    'domains/other-ca.pem': makeAuthority('Another authority').cert,
  },
};

const showing = ({ certFile, keyFile }: TestCertificate) => ['--cert', certFile, '--key', keyFile];

/** Statuses of requests for these hosts on one HTTP/2 connection that was opened for `sni`, as a browser coalesces them. */
async function coalesced(port: number, sni: string, hosts: readonly string[], certificate?: TestCertificate) {
  const { cert, key } = certificate ?? {};
  const identity = cert === undefined || key === undefined ? {} : { cert, key };
  const session = http2.connect(`https://127.0.0.1:${port}`, {
    servername: sni,
    ca: testAuthority().cert,
    ...identity,
  });
  session.on('error', () => {});
  const statusOf = (host: string) =>
    new Promise<number>((resolve, reject) => {
      const stream = session.request({ ':authority': host });
      stream.on('response', (headers) => resolve(Number(headers[':status'])));
      stream.on('error', reject);
      stream.resume();
    });
  return within('the answers', Promise.all(hosts.map(statusOf))).finally(() => session.destroy());
}

/** What openssl says to a request; `flags` save or resume a session. */
async function openssl({ port }: AccessKit, sni: string, flags: readonly string[], host = sni): Promise<string> {
  const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', sni, '-ign_eof', ...flags];
  const { promise, resolve } = Promise.withResolvers<string>();
  const child = execFile(findTool('openssl'), args, (_error, stdout) => resolve(stdout));
  child.stdin?.on('error', () => {});
  child.stdin?.end(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return within('openssl', promise);
}

const statusIn = (text: string) => Number(/^HTTP\/1\.1 (\d+)/m.exec(text)?.[1] ?? 0);

describe("a visitor's certificate", () => {
  it('opens the domain, and its subject goes on to the target: TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2', async () => {
    await withAccess(OPTIONS, async ({ curl, seen }) => {
      for (const flags of [['--http1.1'], ['--http2'], ['--tls-max', '1.2']]) {
        const forged = ['--header', 'X-Client-Cert-Subject: CN=root', '--header', 'X-Client-Cert-Extra: x'];
        const { status } = await curl('mine.example.com', '/', ...showing(jane), ...forged, ...flags);
        assert.equal(status, 200, flags.join(' '));
        assert.deepEqual(seen.at(-1)?.values('x-client-cert-subject'), ['CN=Jane Doe,O=B\\C3\\BCro\\, Nord,C=DE']);
        assert.deepEqual(seen.at(-1)?.values('x-client-cert-extra'), []);
      }
      const subject = '--header=X-Client-Cert-Subject: CN=root';
      assert.equal((await curl('open.example.com', '/', ...showing(jane), ...subject.split('=', 2))).status, 200);
      assert.deepEqual(seen.at(-1)?.values('x-client-cert-subject'), []);
    });
  });

  it('that is missing, or of another authority, or for another use, finds nothing', async () => {
    const impostor = makeAuthority('Authority of visitors');
    const wrong = [
      issueClientCertificate('/CN=Jane Doe', impostor),
      issueClientCertificate('/CN=Jane Doe'),
      issueClientCertificate('/CN=Jane Doe', authority, 'serverAuth'),
      makeAuthority('Jane Doe'),
    ];
    await withAccess(OPTIONS, async ({ curl, seen, events }) => {
      assert.equal((await curl('mine.example.com', '/')).status, 404);
      for (const certificate of wrong) {
        assert.equal((await curl('mine.example.com', '/', ...showing(certificate))).status, 404);
      }
      assert.equal((await curl('other.example.com', '/', ...showing(jane))).status, 404);
      const reasons = events.of('access').map(({ record }) => record.reason);
      assert.deepEqual(
        reasons,
        Array.from({ length: 6 }, () => 'certificate-refused'),
      );
      assert.deepEqual(seen, []);
    });
  });

  it('is demanded of the host that is asked for, whatever the connection was opened for: 421', async () => {
    await withAccess(OPTIONS, async ({ port, seen }) => {
      const hosts = [
        'open.example.com',
        'mine.example.com',
        'same.example.com',
        'other.example.com',
        'unknown.example.com',
      ];
      assert.deepEqual(await coalesced(port, 'open.example.com', hosts), [200, 421, 421, 421, 404]);
      assert.deepEqual(await coalesced(port, 'open.example.com', hosts, jane), [200, 421, 421, 421, 404]);
      assert.deepEqual(await coalesced(port, 'mine.example.com', hosts, jane), [421, 200, 200, 421, 421]);
      assert.deepEqual(await coalesced(port, 'mine.example.com', hosts), [421, 404, 404, 421, 421]);
      assert.deepEqual(seen.map(({ host }) => host).toSorted(), [
        'mine.example.com',
        'open.example.com',
        'open.example.com',
        'same.example.com',
      ]);
    });
  });

  for (const version of ['-tls1_2', '-tls1_3']) {
    it(`cannot be replaced by a resumed session (${version})`, async () => {
      await withAccess(OPTIONS, async (kit) => {
        await withFolder({}, async (folder) => {
          const session = (name: string) => join(folder, name);
          const save = (name: string) => [version, '-sess_out', session(name)];
          const resume = (name: string) => [version, '-sess_in', session(name)];
          assert.equal(statusIn(await openssl(kit, 'open.example.com', save('open'))), 200);
          const control = await openssl(kit, 'open.example.com', resume('open'));
          assert.match(control, /^Reused, /m);
          assert.equal(statusIn(control), 200);
          // Of a domain without a demand, and of this one without a certificate (which OpenSSL would call verified).
          assert.equal(statusIn(await openssl(kit, 'mine.example.com', resume('open'))), 404);
          assert.equal(statusIn(await openssl(kit, 'open.example.com', resume('open'), 'mine.example.com')), 421);
          assert.equal(statusIn(await openssl(kit, 'mine.example.com', save('without'))), 404);
          assert.equal(statusIn(await openssl(kit, 'mine.example.com', resume('without'))), 404);
          // A certificate counts for the connection that proved it: it may be revoked before the session ends.
          const proved = ['-cert', jane.certFile, '-key', jane.keyFile];
          assert.equal(statusIn(await openssl(kit, 'mine.example.com', [...save('with'), ...proved])), 200);
          const again = await openssl(kit, 'mine.example.com', resume('with'));
          assert.equal(statusIn(again), 404);
          assert.doesNotMatch(again, /^Reused, /m);
          assert.equal(kit.seen.filter(({ host }) => host === 'mine.example.com').length, 1);
        });
      });
    });
  }
});
