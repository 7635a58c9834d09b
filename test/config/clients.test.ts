import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ConfigFiles } from '../../src/config/config-files.ts';
import { loadServer } from '../../src/config/load-server.ts';
import { formatProblem } from '../../src/config/problems.ts';
import type { DomainOptions } from '../../src/server/options.ts';
import { AgentPki } from '../support/agent-pki.ts';
import { testAuthority } from '../support/certificates.ts';
import { type FolderFiles, withFolder } from '../support/with-folder.ts';

const SECRET = 'a secret of a test, long enough';
const HASH = '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1';

/** Loads a domain's file whose keys, beside those that it needs, are `keys`. */
async function load(keys: string, more: FolderFiles = {}) {
  const domain = `{ active: true, secret: "${SECRET}",\n${keys}\n}`;
  return withFolder({ 'server.json5': '{}', 'domains/a.example.json5': domain, ...more }, async (folder) => {
    const result = await loadServer(`${folder}/server.json5`);
    const lines = (problems: readonly Parameters<typeof formatProblem>[0][]) =>
      problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/domains/`, ''));
    const domains = result.ok ? result.config.options.domains : [];
    return { domain: domains[0], problems: result.ok ? [] : lines(result.problems), warnings: lines(result.warnings) };
  });
}

async function loaded(keys: string, more?: FolderFiles): Promise<DomainOptions> {
  const { domain, problems } = await load(keys, more);
  assert.deepEqual(problems, []);
  return domain ?? assert.fail();
}

/** Runs `action` with a server's files whose one domain has a revocation list. */
async function withList(action: (folder: string, list: string) => Promise<void>): Promise<void> {
  const pki = await AgentPki.make('visitors');
  const list = (await pki.revoking(await pki.issue(['jane.test']))).slice(pki.pem.length);
  const domain = `{ active: true, secret: "${SECRET}", clients: { certificates: "ca.pem" } }`;
  const files = { 'domains/a.example.json5': domain, 'domains/ca.pem': pki.pem, 'domains/crl.pem': list };
  await withFolder({ 'server.json5': '{}', ...files }, (folder) => action(folder, list));
}

describe("who may come, in a domain's file", () => {
  it('becomes options', async () => {
    const { networks, clients } = await loaded(
      `networks: ["10.0.0.0/8", "2001:DB8::1"],
       clients: {
         networks: "::ffff:192.0.2.0/120", ranges: ["mon-fri 08:00-19:00", "sat"], banner: "Who \\"are\\" you?", certificates: "ca.pem",
         credentials: ["user1:password1", "user2:pass:with:colons", "user1:${HASH}", "@login", "naïve:påss"],
       }`,
      { 'domains/ca.pem': testAuthority().cert, 'domains/login': 'from a file:its password\n' },
    );
    assert.deepEqual(networks, [
      { address: '10.0.0.0', prefix: 8 },
      { address: '2001:db8::1', prefix: 128 },
    ]);
    assert.ok(clients !== undefined);
    const { credentials, ...others } = clients;
    assert.deepEqual(others, {
      networks: [{ address: '192.0.2.0', prefix: 24 }],
      ranges: ['mon-fri 08:00-19:00', 'sat'],
      banner: 'Who "are" you?',
      certificates: testAuthority().cert,
    });
    assert.deepEqual(
      credentials?.map(({ login, password }) => [login, password.reveal()]),
      [
        ['user1', 'password1'],
        ['user2', 'pass:with:colons'],
        ['user1', HASH],
        ['from a file', 'its password'],
        ['naïve', 'påss'],
      ],
    );
  });

  it('has the revocation lists of its authorities, in their file or in crl.pem beside it', async () => {
    const pki = await AgentPki.make('visitors');
    const whole = await pki.revoking(await pki.issue(['jane.test']));
    const list = whole.slice(pki.pem.length);
    for (const files of [{ 'domains/ca.pem': whole }, { 'domains/ca.pem': pki.pem, 'domains/crl.pem': list }]) {
      const { clients } = await loaded('clients: { certificates: "ca.pem" }', files);
      assert.equal(clients?.certificates?.replace(/\s+/g, ''), whole.replace(/\s+/g, ''));
    }
    const broken = await load('clients: { certificates: "ca.pem" }', {
      'domains/ca.pem': pki.pem,
      'domains/crl.pem': list.replace(/\n[A-Za-z0-9]/, '\n*'),
    });
    assert.match(broken.problems.join('\n'), /clients\.certificates: the file .*crl\.pem /);
    // As while it is copied: who was revoked must not come in meanwhile.
    for (const [text, fault] of [
      ['', /crl\.pem has no X509 CRL/],
      [list.slice(0, list.length / 2), /crl\.pem has an X509 CRL that is cut/],
      [list + list.slice(0, list.length / 2), /crl\.pem has an X509 CRL that is cut/],
    ] as const) {
      const files = { 'domains/ca.pem': pki.pem, 'domains/crl.pem': text };
      assert.match((await load('clients: { certificates: "ca.pem" }', files)).problems.join('\n'), fault);
    }
    const cut = await load('clients: { certificates: "ca.pem" }', { 'domains/ca.pem': whole.slice(0, -40) });
    assert.match(cut.problems.join('\n'), /ca\.pem has an X509 CRL that is cut/);
  });

  it('misses a revocation list that is gone since it was read: who is on it must not come in', async () => {
    await withList(async (folder, list) => {
      const files = new ConfigFiles();
      const reload = () => loadServer(`${folder}/server.json5`, { files });
      assert.equal((await reload()).ok, true);
      rmSync(`${folder}/domains/crl.pem`);
      const gone = await reload();
      assert.match(gone.ok ? '' : gone.problems.map(formatProblem).join(), /crl\.pem does not exist.*put it back/);
      assert.equal((await reload()).ok, false, 'for as long as it is gone');
      writeFileSync(`${folder}/domains/crl.pem`, list);
      assert.equal((await reload()).ok, true);
    });
  });

  it('misses no revocation list that another has read, who looked at the same files', async () => {
    await withList(async (folder) => {
      assert.equal((await loadServer(`${folder}/server.json5`)).ok, true);
      rmSync(`${folder}/domains/crl.pem`);
      assert.equal((await loadServer(`${folder}/server.json5`, { files: new ConfigFiles() })).ok, true);
    });
  });

  it('may be left out, or be null', async () => {
    assert.equal((await loaded('')).clients, undefined);
    assert.equal((await loaded('clients: null')).clients, undefined);
    const empty = { networks: [], ranges: [], credentials: [], certificates: null };
    assert.deepEqual((await loaded('clients: { networks: null, banner: null, certificates: null }')).clients, empty);
  });

  it('is refused with the place of each fault, and never with a password', async () => {
    const { problems } = await load(
      `networks: ["10/8", "10.1.2.3/8"],
clients: {
  networks: "fe80::1%eth0",
  ranges: ["mon-fri", "mon-fri noon", 5, "", "2019-02-30"],
  credentials: ["hunter2", ":hunter2", "user:", ["a:hunter2"], "user:$6$hunter2", "@missing", "user: hunter2", "us\\ner:hunter2"],
  banner: "Büro",
  certificates: "missing.pem",
  credential: "a:b",
}`,
    );
    const forms =
      'days 2019-10-01, 2019-10-01-2019-10-31, 2019-10-01-, -2019-10-31; weekdays tue, tue-fri, sat-, sat-tue; times 08:00-19:00, 22:00-06:00, 13:00-, with seconds or without';
    const network = 'allowed: a network such as "10.0.0.0/8" or "2001:db8::/32", or an IP address';
    const kinds = 'allowed: "login:password", "login:$6$..." or "@file" with one of these';
    const noLogin = `the entry has no login of 1 to 128 bytes in front of a colon; ${kinds}`;
    assert.deepEqual(problems, [
      `a.example.json5:2:12: networks[0]: found "10/8"; ${network}`,
      'a.example.json5:2:20: networks[1]: found "10.1.2.3/8"; allowed: "10.0.0.0/8" for the network, "10.1.2.3" for the one host',
      `a.example.json5:4:13: clients.networks: found "fe80::1%eth0"; ${network}`,
      `a.example.json5:5:23: clients.ranges[1]: unknown token "noon"; allowed: ${forms}`,
      'a.example.json5:5:39: clients.ranges[2]: found 5; allowed: a text such as "mon-fri 08:00-19:00"',
      `a.example.json5:5:42: clients.ranges[3]: found no token; allowed: ${forms}`,
      `a.example.json5:5:46: clients.ranges[4]: no such day: "2019-02-30"; allowed: ${forms}`,
      `a.example.json5:6:17: clients.credentials[0]: ${noLogin}`,
      `a.example.json5:6:28: clients.credentials[1]: ${noLogin}`,
      'a.example.json5:6:40: clients.credentials[2]: the password of the entry is empty',
      `a.example.json5:6:49: clients.credentials[3]: found a list; ${kinds}`,
      'a.example.json5:6:64: clients.credentials[4]: the password of the entry is not a SHA-512-crypt hash that can be checked; allowed: $6$salt$digest or $6$rounds=N$salt$digest, with a salt of 8 to 16 characters and 1000 to 100000 rounds (`backdial password` makes one)',
      "a.example.json5:6:83: clients.credentials[5]: the entry's file missing does not exist; write it there, and nothing else",
      'a.example.json5:6:95: clients.credentials[6]: the password of the entry begins or ends with a blank',
      `a.example.json5:6:112: clients.credentials[7]: ${noLogin}`,
      'a.example.json5:7:11: clients.banner: found "Büro"; allowed: at most 200 characters of printable ASCII, or null',
      'a.example.json5:8:17: clients.certificates: the certificate file missing.pem does not exist; is its path right, from the folder of this file?',
      'a.example.json5:9:3: clients.credential: unknown key; did you mean `credentials`?; allowed: networks, ranges, credentials, banner, certificates',
    ]);
    assert.ok(!problems.join('\n').includes('hunter2'));
  });

  it('cannot ask for logins or certificates where it listens on a TCP port', async () => {
    const both = await load('listen: 5432,\nclients: { credentials: "a:b",\ncertificates: "ca.pem" }', {
      'domains/ca.pem': testAuthority().cert,
    });
    const message = 'found beside `listen`, on whose TCP ports it cannot be asked for; allowed: one of the two';
    assert.deepEqual(both.problems, [
      `a.example.json5:3:25: clients.credentials: ${message}`,
      `a.example.json5:4:15: clients.certificates: ${message}`,
    ]);
    const fine = await load('listen: 5432, clients: { networks: "10.0.0.0/8", ranges: "mon", credentials: [] }');
    assert.deepEqual(fine.problems, []);
  });

  it('warns of a file that others may read, and of a range that never holds', async () => {
    const { warnings, problems } = await load(
      'clients: { credentials: "@login", ranges: ["2020-01-01 sat- 13:00-17:00", "sat"] }',
      { 'domains/login': { text: 'user:password', mode: 0o644 } },
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(warnings, [
      "a.example.json5:2:25: clients.credentials: others may read the entry's file login; chmod 600 it",
      'a.example.json5:2:44: clients.ranges[0]: "2020-01-01 sat- 13:00-17:00" holds at no moment: all of its tokens must hold together',
    ]);
  });

  it('is bounded', async () => {
    const many = (count: number, text: string) => `[${Array.from({ length: count }, () => `"${text}"`).join()}]`;
    const { problems } = await load(
      `networks: ${many(10_001, '::1')}, clients: { ranges: ${many(1_001, 'sat')}, credentials: ${many(11, 'a:b')} }`,
    );
    assert.equal(problems.length, 3);
    assert.match(problems[0] ?? '', /networks: found 10001 networks; at most 10000 are allowed/);
    assert.match(problems[1] ?? '', /clients.ranges: found 1001 entries; at most 1000 are allowed/);
    assert.match(problems[2] ?? '', /clients.credentials\[10\]: the login has more than 10 passwords/);
  });
});
