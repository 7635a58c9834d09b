import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { type AccessKit, withAccess } from '../support/access.ts';
import { testAuthority } from '../support/certificates.ts';
import { findTool } from '../support/tools.ts';
import { within } from '../support/within.ts';

const NOWHERE = 'networks: "192.0.2.0/24"';
const NEVER = 'ranges: "2000-01-01"';
const CERTIFICATE = 'certificates: "ca.pem"';

/** What this visitor must not be able to tell apart; the first does not exist. */
const HIDDEN = [
  'unknown.example.com',
  'inactive.example.com',
  'unserved.example.com',
  'network.example.com',
  'time.example.com',
  'certificate.example.com',
  'everything.example.com',
  'unserved-login.example.com',
  'unserved-certificate.example.com',
  'network-503.example.com',
  'sub.test',
];

const OPTIONS = {
  domains: {
    'open.example.com': '',
    'login.example.com': 'clients: { credentials: "user:password" }',
    'inactive.example.com': null,
    'unserved.example.com': '',
    'network.example.com': `clients: { ${NOWHERE} }`,
    'time.example.com': `clients: { ${NEVER} }`,
    'certificate.example.com': `clients: { ${CERTIFICATE} }`,
    'everything.example.com': `clients: { ${NOWHERE}, ${NEVER}, ${CERTIFICATE}, credentials: "user:password" }, bodySize: "1k"`,
    'unserved-login.example.com': 'clients: { credentials: "user:password" }',
    'unserved-certificate.example.com': `clients: { ${CERTIFICATE} }`,
    'network-503.example.com': `clients: { ${NOWHERE} }, unavailable: 503, transaction: false`,
    '*.test': `clients: { ${NEVER} }`,
    'mine-503.example.com': 'unavailable: 503',
  },
  unserved: [
    'unserved.example.com',
    'unserved-login.example.com',
    'unserved-certificate.example.com',
    'mine-503.example.com',
  ],
  files: { 'domains/ca.pem': testAuthority().cert },
};

/** Requests to make of each; `{host}` is its name. */
const HTTP1 = [
  'GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n',
  'GET / HTTP/1.0\r\nHost: {host}\r\n\r\n',
  'GET https://{host}/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n',
  'HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic dXNlcjpwYXNzd29yZA==\r\nConnection: close\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic dXNlcjp3cm9uZw==\r\nConnection: close\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody',
  'POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9999\r\nConnection: close\r\n\r\nbody',
  'TRACE / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n',
  'CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nConnection: close\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: {host}\r\nVia: 1.1 server.test\r\nConnection: close\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  'GET /.well-known/backdial-agent HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: ptth\r\nALPN: h2\r\nAuthorization: Bearer guess\r\n\r\n',
  'GET /.well-known/backdial-agent HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n',
];
const HTTP2 = [
  [],
  ['--head'],
  ['--user', 'user:wrong'],
  ['--data', 'x'.repeat(2_000)],
  ['--request', 'TRACE'],
  ['--header', 'Via: 1.1 server.test'],
];

/** An answer without what differs from answer to answer. */
function masked(text: string): string {
  return text.replace(/^(date: ).*$/gim, '$1...').replace(/^(x-transaction-id: )[0-9a-f-]{36}/gim, '$1...');
}

async function answers(kit: AccessKit, host: string, sni: string | null): Promise<string[]> {
  const all: string[] = [];
  for (const request of HTTP1) all.push(masked(await kit.raw(sni, request.replaceAll('{host}', host))));
  return all;
}

describe('a domain that a visitor may not reach, and one that nobody serves', () => {
  it('answers byte for byte as one that does not exist: HTTP/1.1, whatever the SNI', async () => {
    await withAccess(OPTIONS, async (kit) => {
      for (const sni of [(host: string) => host, () => null, () => 'open.example.com']) {
        const [unknown = '', ...others] = HIDDEN;
        const expected = await answers(kit, unknown, sni(unknown));
        for (const text of expected) {
          assert.match(text, /^HTTP\/1\.1 404 Not Found\r\n/);
          assert.doesNotMatch(
            text,
            /proxy-status|backdial|domain-|example\.com/i,
            'nor does it tell that there is a tunnel',
          );
        }
        for (const host of others) {
          // A served domain's demand for a certificate has to be told, so that clients connect anew (design, section 8).
          if (host === 'certificate.example.com' && sni(host) !== host) continue;
          assert.deepEqual(await answers(kit, host, sni(host)), expected, host);
        }
      }
      assert.deepEqual(kit.seen, []);
    });
  });

  it('answers byte for byte as one that does not exist: HTTP/2', async () => {
    await withAccess(OPTIONS, async (kit) => {
      for (const flags of HTTP2) {
        const texts = new Map<string, string[]>();
        for (const host of HIDDEN) {
          const { text, status } = await kit.curl(host, '/', '--http2', '--insecure', ...flags);
          assert.equal(status, 404, host);
          texts.set(masked(text), [...(texts.get(masked(text)) ?? []), host]);
        }
        assert.deepEqual([...texts.values()], [HIDDEN]);
      }
      assert.deepEqual(kit.seen, []);
    });
  });

  it('asks nobody for a certificate whom it would not let in', async () => {
    await withAccess(OPTIONS, async ({ port }) => {
      assert.equal(await isAskedForCertificate(port, 'certificate.example.com'), true);
      for (const host of HIDDEN) {
        if (host !== 'certificate.example.com') assert.equal(await isAskedForCertificate(port, host), false, host);
      }
    });
  });

  it('has its true reason in the access log', async () => {
    await withAccess(OPTIONS, async (kit) => {
      for (const host of HIDDEN) await kit.curl(host, '/', '--insecure');
      const told = kit.events.of('access').map(({ record }) => [record.domain, record.status, record.reason]);
      assert.deepEqual(told, [
        ['unknown.example.com', 404, 'domain-unknown'],
        ['inactive.example.com', 404, 'domain-inactive'],
        ['unserved.example.com', 404, 'domain-unserved'],
        ['network.example.com', 403, 'network-refused'],
        ['time.example.com', 403, 'time-refused'],
        ['certificate.example.com', 403, 'certificate-refused'],
        ['everything.example.com', 403, 'network-refused'],
        ['unserved-login.example.com', 404, 'domain-unserved'],
        ['unserved-certificate.example.com', 404, 'domain-unserved'],
        ['network-503.example.com', 403, 'network-refused'],
        ['sub.test', 403, 'time-refused'],
      ]);
    });
  });

  it('hides what a visitor who may come is told: a login, a status of its own, a limit', async () => {
    await withAccess(OPTIONS, async ({ curl }) => {
      assert.equal((await curl('login.example.com', '/')).status, 401);
      assert.equal((await curl('mine-503.example.com', '/')).status, 503);
      assert.equal((await curl('open.example.com', '/', '--request', 'TRACE')).status, 405);
      assert.equal((await curl('everything.example.com', '/', '--data', 'x'.repeat(2_000))).status, 404);
    });
  });
});

/** openssl tells what a server asks its client for. */
async function isAskedForCertificate(port: number, name: string): Promise<boolean> {
  const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', name];
  const { promise, resolve } = Promise.withResolvers<string>();
  const child = execFile(findTool('openssl'), args, (_error, stdout) => resolve(stdout));
  child.stdin?.end();
  const text = await within('a handshake', promise);
  assert.match(text, /Server certificate/);
  return /^Acceptable client certificate CA names$/m.test(text);
}
