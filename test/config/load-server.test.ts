import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { loadServer, type ServerConfig } from '../../src/config/load-server.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { serverKeys } from '../../src/config/server-keys.ts';
import { issueCertificate, testCertificate } from '../support/certificates.ts';
import { type FolderFiles, withFolder } from '../support/with-folder.ts';

const SECRET = 'a secret of a test, long enough';
const HASH = '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1';
const SERVED = `{ active: true, secret: "${SECRET}" }`;

/** Loads `server.json5` of these files; messages name files relative to the folder. */
async function load(files: FolderFiles) {
  return withFolder({ 'domains/.keep': '', ...files }, async (folder) => {
    const result = await loadServer(`${folder}/server.json5`);
    const lines = (problems: readonly Parameters<typeof formatProblem>[0][]) =>
      problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ''));
    const problems = result.ok ? [] : lines(result.problems);
    return { config: result.ok ? result.config : null, problems, warnings: lines(result.warnings), folder };
  });
}

async function config(files: FolderFiles): Promise<ServerConfig> {
  const loaded = await load(files);
  assert.deepEqual(loaded.problems, []);
  return loaded.config ?? assert.fail();
}

describe("a server's configuration", () => {
  it('becomes options', async () => {
    const { options, log, inactive } = await config({
      'server.json5': `{
        listen: "127.0.0.1:8443", name: "node-1.example", service: "/agents", headersSize: "16kB", bodySize: "10MB",
        idleTimeout: 0, readTimeout: "1500ms", writeTimeout: "1m", connections: 0, connectionsPerAddress: 7,
        unavailable: 503, transaction: false, redirect: "127.0.0.1:8080", drain: "2s",
        log: { level: "debug", system: null, access: ["console"], disconnected: true },
      }`,
      'domains/www.example.com.json5': `{
        active: true, secret: ["${SECRET}", "${HASH}", "@agent.secret"], listen: ["127.0.0.1:5432", "[::1]:5432"],
        concurrency: 5, balance: "random", bodySize: "1k", transaction: true, unavailable: 404,
      }`,
      'domains/agent.secret': 'a secret from a file, naïve\n',
      'domains/_.example.com.json': SERVED,
      'domains/off.example.json5': '{}',
    });
    assert.deepEqual(options, {
      listen: [{ host: '127.0.0.1', port: 8443 }],
      certificates: [],
      inactive: ['off.example'],
      name: 'node-1.example',
      service: '/agents',
      maxHeaderBytes: 16_384,
      maxBodyBytes: 10_485_760,
      idleTimeoutMs: 0,
      readTimeoutMs: 1_500,
      writeTimeoutMs: 60_000,
      maxConnections: 0,
      maxConnectionsPerAddress: 7,
      unavailableStatus: 503,
      transaction: false,
      redirect: [{ host: '127.0.0.1', port: 8080 }],
      drainMs: 2_000,
      domains: [
        { name: '*.example.com', secrets: options.domains[0]?.secrets },
        {
          name: 'www.example.com',
          secrets: options.domains[1]?.secrets,
          listen: [
            { host: '127.0.0.1', port: 5_432 },
            { host: '::1', port: 5_432 },
          ],
          concurrency: 5,
          balance: 'random',
          maxBodyBytes: 1_000,
          transaction: true,
          unavailableStatus: 404,
        },
      ],
    });
    assert.deepEqual(
      options.domains.map((domain) => domain.secrets.map((secret) => secret.reveal())),
      [[SECRET], [SECRET, HASH, 'a secret from a file, naïve']],
    );
    assert.deepEqual(log, { level: 'debug', system: [], access: ['console'], disconnected: true });
    assert.deepEqual(inactive, ['off.example']);
  });

  it('reports every problem of every file at once, in order, each with its place', async () => {
    const { problems } = await load({
      'server.json5': `{
  listen: ["0.0.0.0:443", "nowhere"],
  idelTimeout: "65s",
  readTimeout: 10,
  registry: null,
  bodySize: "10MiB",
  unavailable: 200,
  log: { level: "loud", file: "x", access: ["syslog"] },
  certificates: { hosts: ["*", "a b"], cert: "missing.pem" },
}
`,
      'domains/a.example.json5': '{\n  active: "yes",\n  secret: ["@missing", 5, ""],\n}\n',
      'domains/b.example.json5': '{ active: true',
      'domains/c.example.json5': '{ active: true }',
    });
    assert.deepEqual(problems, [
      'server.json5:2:27: listen[1]: found "nowhere"; allowed: "host:port", "[v6]:port", a port, "unix:/path", "systemd:name" or "fd:3", or an object with `address`',
      `server.json5:3:3: idelTimeout: unknown key; did you mean \`idleTimeout\`?; ${SERVER_ALLOWED}`,
      'server.json5:4:16: readTimeout: found 10; allowed: a duration such as "65s" (ms, s, m, h or d; at most 24d), or 0',
      `server.json5:5:3: registry: this version does not support the key yet; ${SERVER_ALLOWED}`,
      'server.json5:6:13: bodySize: found "10MiB"; allowed: a size such as "64kB" (k, M, G: 1000; kB, MB, GB: 1024), or 0',
      'server.json5:7:16: unavailable: found 200; allowed: a whole number from 400 to 599',
      'server.json5:8:17: log.level: found "loud"; allowed: "trace", "debug", "info", "warn", "error", "fatal", "silent"',
      'server.json5:8:25: log.file: unknown key; allowed: level, system, access, disconnected',
      'server.json5:8:45: log.access[0]: found "syslog"; allowed: "console", { file: "..." }, { syslog: "..." }, a list of these, or null for nowhere',
      'server.json5:9:17: certificates.key: found nothing; the key is needed',
      'server.json5:9:32: certificates.hosts[1]: found "a b"; allowed: an exact name, "*.suffix", "/regex/" or "*"',
      'server.json5:9:46: certificates.cert: the certificate file missing.pem does not exist; is its path right, from the folder of this file?',
      'domains/a.example.json5:2:11: active: found "yes"; allowed: true or false',
      "domains/a.example.json5:3:12: secret[0]: the secret's file domains/missing does not exist; write it there, and nothing else",
      'domains/a.example.json5:3:24: secret[1]: found a value of type number; allowed: a text, a "$6$..." hash or "@file"',
      'domains/a.example.json5:3:27: secret[2]: the secret is empty',
      'domains/b.example.json5:1:15: not valid JSON5: invalid end of input',
      'domains/c.example.json5:1:1: secret: found none; an active domain needs one, or `certificates`, or a `target`: nobody could serve it',
    ]);
  });

  const SERVER_ALLOWED = `allowed: ${Object.keys(serverKeys('/').schema.shape).slice(1).join(', ')}`;

  it('names neither secrets nor credentials in any message', async () => {
    const { problems, warnings } = await load({
      'server.json5': '{ listen: "http://user:hunter2@host", name: "hunter2@x", certificates: [] }',
      'domains/a.json5': '{ secret: "hunter2\\n" }',
      'domains/b.json5': '{ secret: ["$6$hunter2", { hunter2: 1 }, "@f", "hunter2"] }',
      'domains/f': 'hunter2 and\nmore',
    });
    assert.equal(problems.length, 6);
    assert.equal(warnings.length, 1);
    for (const line of [...problems, ...warnings]) assert.ok(!line.includes('hunter2'), line);
  });

  it('takes a port for every address, and what `null` means for the default', async () => {
    const { options, state } = await config({
      'server.json5': '{ listen: 8443, name: null, state: null, redirect: null, log: { access: null } }',
      'domains/a.json5': `{ active: true, secret: "${SECRET}", listen: 5432, bodySize: null, unavailable: null }`,
    });
    assert.deepEqual(Object.keys(options), ['listen', 'certificates', 'domains', 'inactive']);
    assert.deepEqual(options.listen, [
      { host: '0.0.0.0', port: 8443 },
      { host: '::', port: 8443 },
    ]);
    assert.deepEqual(Object.keys(options.domains[0] ?? {}), ['listen', 'name', 'secrets']);
    assert.match(state, /\/state$/);
  });

  it('keeps its state where it says, else in $STATE_DIRECTORY, else beside the file', async () => {
    await withFolder({ 'a.json5': '{}', 'b.json5': '{ state: "x/y" }', 'domains/x.json5': '{}' }, async (folder) => {
      const stateOf = async (file: string, stateDirectory?: string) => {
        const result = await loadServer(`${folder}/${file}`, { stateDirectory });
        return result.ok ? result.config.state : assert.fail();
      };
      assert.equal(await stateOf('a.json5'), `${folder}/state`);
      assert.equal(await stateOf('a.json5', '/var/lib/one:/var/lib/two'), '/var/lib/one');
      assert.equal(await stateOf('b.json5', '/var/lib/one'), `${folder}/x/y`);
    });
  });

  it('may be anything but an object, and is then one problem', async () => {
    for (const text of ['[]', '5', 'null', '"x"']) {
      const { problems } = await load({ 'server.json5': text });
      assert.equal(problems.length, 1, text);
      assert.match(problems[0] ?? '', /^server\.json5:1:1: found .*; allowed: an object with the keys listen, /);
    }
  });

  it('refuses keys that objects inherit', async () => {
    const { problems } = await load({
      'server.json5': '{ __proto__: { listen: 1 }, constructor: 1, toString: 2, hasOwnProperty: 3 }',
    });
    assert.equal(problems.length, 4);
    for (const problem of problems) assert.match(problem, /unknown key; allowed/);
  });
});

describe('the folder of domains', () => {
  it('counts *.json5 and *.json, but not what editors and mounts leave behind', async () => {
    const { options } = await config({
      'server.json5': '{ domains: "more/names" }',
      'more/names/a.example.json5': SERVED,
      'more/names/b.example.json': SERVED,
      'more/names/.c.example.json5': 'not JSON5',
      'more/names/d.example.json5~': 'not JSON5',
      'more/names/README.md': 'not JSON5',
    });
    assert.deepEqual(
      options.domains.map((domain) => domain.name),
      ['a.example', 'b.example'],
    );
  });

  it('that is not there, or is no folder, is a problem', async () => {
    const { problems } = await load({ 'server.json5': '{\n  domains: "missing",\n}' });
    assert.deepEqual(problems, [
      'server.json5:2:12: domains: the folder of domains missing does not exist; make it, or name another with `domains`',
    ]);
    const other = await load({ 'server.json5': '{ domains: "server.json5" }' });
    assert.match(other.problems[0] ?? '', /^server\.json5:1:12: domains: the folder of domains server\.json5 /);
  });

  it('holds one file for each domain, under its canonical name', async () => {
    const { problems } = await load({
      'server.json5': '{}',
      'domains/A.example.json5': SERVED,
      'domains/a_b.example.json5': SERVED,
      'domains/faß.de.json5': SERVED,
      'domains/twice.example.json': SERVED,
      'domains/twice.example.json5': SERVED,
      'domains/_.json5': SERVED,
      'domains/1.2.3.4.json5': SERVED,
    });
    const at = (file: string) => problems.find((problem) => problem.startsWith(`domains/${file}:1:1: `)) ?? '';
    assert.equal(problems.length, 6);
    assert.match(at('A.example.json5'), /not in canonical form; rename it to a\.example\.json5$/);
    assert.match(at('faß.de.json5'), /rename it to xn--fa-hia\.de\.json5$/);
    assert.match(at('a_b.example.json5'), /is no domain/);
    assert.match(at('_.json5'), /is no domain/);
    assert.match(at('1.2.3.4.json5'), /is no domain/);
    assert.match(
      at('twice.example.json5'),
      /the domain twice\.example has another file, domains\/twice\.example\.json/,
    );
  });

  it('may not have `listen` for a wildcard', async () => {
    const { problems } = await load({
      'server.json5': '{}',
      'domains/_.example.json5': `{ active: true, secret: "${SECRET}", listen: 5432 }`,
    });
    assert.deepEqual(problems, [
      'domains/_.example.json5:1:68: listen: found in the file of a wildcard; TCP visitors name no host: allowed in files of one domain',
    ]);
  });

  it('may not give one address to two listeners', async () => {
    const { problems } = await load({
      'server.json5': '{ listen: "0.0.0.0:8443", redirect: "0.0.0.0:8443" }',
      'domains/a.example.json5': `{ active: true, secret: "${SECRET}", listen: ["0.0.0.0:1", "0.0.0.0:0"] }`,
      'domains/b.example.json5': `{ active: true, secret: "${SECRET}", listen: [1, "0.0.0.0:0"] }`,
      'domains/c.example.json5': `{ active: false, secret: "${SECRET}", listen: 1 }`,
    });
    assert.deepEqual(problems, [
      'server.json5:1:37: redirect: 0.0.0.0:8443 is taken by the front door',
      'domains/b.example.json5:1:68: listen: 0.0.0.0:1 is taken by a.example',
    ]);
  });
});

describe('a port', () => {
  const taken = async (first: string, second: string) => {
    const { problems } = await load({ 'server.json5': `{ listen: ${first}, redirect: ${second} }` });
    return problems.map((problem) => problem.replace(/^.*: redirect: /, ''));
  };

  it('at every address of the machine is taken at each of them, whichever comes first', async () => {
    assert.deepEqual(await taken('"0.0.0.0:8443"', '"127.0.0.1:8443"'), [
      '127.0.0.1:8443 is taken by the front door at 0.0.0.0:8443',
    ]);
    assert.deepEqual(await taken('["192.0.2.1:80", "[::1]:8443"]', '8443'), [
      '[::]:8443 is taken by the front door at [::1]:8443',
    ]);
    assert.deepEqual(await taken('[8443, "[::1]:80"]', '["127.0.0.1:8443", "127.0.0.1:8444", "[::1]:80"]'), [
      '127.0.0.1:8443 is taken by the front door at 0.0.0.0:8443',
      '[::1]:80 is taken by the front door',
    ]);
  });

  it('may be had once at each address, and by IPv4 and IPv6', async () => {
    for (const [first, second] of [
      ['"127.0.0.1:8443"', '"127.0.0.2:8443"'],
      ['"0.0.0.0:8443"', '"[::1]:8443"'],
      ['"[::]:8443"', '"127.0.0.1:8443"'],
      ['"0.0.0.0:8443"', '"localhost:8443"'],
      ['"0.0.0.0:8443"', '"127.0.0.1:8444"'],
      ['"0.0.0.0:0"', '"127.0.0.1:0"'],
    ] as const) {
      assert.deepEqual(await taken(first, second), [], `${first} and ${second}`);
    }
  });
});

describe('secrets', () => {
  it('are warned about when they are short, or when others may read their file', async () => {
    const { problems, warnings } = await load({
      'server.json5': '{}',
      'domains/a.json5': '{ active: true, secret: ["short", "@open", "@closed"] }',
      'domains/open': { text: `${SECRET}\n`, mode: 0o644 },
      'domains/closed': { text: SECRET, mode: 0o640 },
    });
    assert.deepEqual(problems, []);
    assert.deepEqual(warnings, [
      'domains/a.json5:1:26: secret[0]: the secret is short; 16 bytes or more are advised',
      "domains/a.json5:1:35: secret[1]: others may read the secret's file domains/open; chmod 600 it",
    ]);
  });

  it('are at most ten, and hashes that can be checked in time', async () => {
    const many = Array.from({ length: 11 }, (_, index) => `"${SECRET} ${index}"`);
    const { problems } = await load({
      'server.json5': '{}',
      'domains/a.json5': `{ secret: [${many.join()}] }`,
      'domains/b.json5': `{ secret: "${HASH.replace('$6$', '$6$rounds=100001$')}" }`,
    });
    assert.equal(problems.length, 2);
    assert.match(problems[0] ?? '', /domains\/a\.json5:1:11: secret: found 11 secrets; at most 10 are allowed/);
    assert.match(
      problems[1] ?? '',
      /domains\/b\.json5:1:11: secret: the secret is not a SHA-512-crypt hash that can be checked/,
    );
  });
});

describe('certificates', () => {
  const { cert, key, certFile, keyFile } = testCertificate();
  const other = issueCertificate(['DNS:other.example']);
  const entry = (more: string) =>
    `{ certificates: [{ hosts: ["www.example.com", "*.Example.com", "/^x/", "*"], ${more} }] }`;

  it('are read, beside the file or elsewhere', async () => {
    const { options } = await config({
      'server.json5': `{ certificates: { hosts: "*", cert: "tls/chain.pem", key: "tls/key.pem" } }`,
      'tls/chain.pem': cert + other.cert,
      'tls/key.pem': key,
    });
    assert.deepEqual(options.certificates, [{ hosts: ['*'], cert: cert + other.cert, key }]);
    const absolute = await config({ 'server.json5': entry(`cert: "${certFile}", key: "${keyFile}"`) });
    assert.deepEqual(absolute.options.certificates, [
      { hosts: ['www.example.com', '*.example.com', '/^x/', '*'], cert: readFileSync(certFile, 'utf8'), key },
    ]);
  });

  const wrongs: readonly (readonly [title: string, files: FolderFiles, problem: RegExp])[] = [
    ['a key that is not there', { 'c.pem': cert }, /key: the key file k\.pem does not exist; is its path right/],
    [
      'a key of another certificate',
      { 'c.pem': cert, 'k.pem': other.key },
      /key: the key file k\.pem does not match the certificate$/,
    ],
    [
      'a certificate in the place of the key',
      { 'c.pem': cert, 'k.pem': cert },
      /k\.pem has no private key; allowed: PEM$/,
    ],
    [
      'a key in the place of the certificate',
      { 'c.pem': key, 'k.pem': key },
      /cert: the certificate file c\.pem has no certificate/,
    ],
    [
      'a damaged certificate',
      { 'c.pem': `${cert}${cert.replace(/M/, '!')}`, 'k.pem': key },
      /cert: the certificate file c\.pem has a certificate that cannot be parsed/,
    ],
    [
      'a damaged key',
      { 'c.pem': cert, 'k.pem': key.replace(/\n[A-Za-z0-9+/]{10}/, '\nAAAAAAAAAA') },
      /k\.pem has a private key that cannot be parsed/,
    ],
    [
      'an encrypted key',
      { 'c.pem': cert, 'k.pem': key.replaceAll('PRIVATE KEY', 'ENCRYPTED PRIVATE KEY') },
      /k\.pem is encrypted; allowed: a key without a passphrase$/,
    ],
  ];
  for (const [title, files, problem] of wrongs) {
    it(`refuse ${title}`, async () => {
      const { problems } = await load({ 'server.json5': entry('cert: "c.pem", key: "k.pem"'), ...files });
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', /^server\.json5:1:\d+: certificates\[0\]\./);
      assert.match(problems[0] ?? '', problem);
    });
  }

  it('refuse entries without hosts, with a pattern that is none, with keys that are unknown', async () => {
    const { problems } = await load({
      'server.json5': `{ certificates: [{ hosts: [], cert: "c.pem", key: "k.pem", ocsp: 1 }, { hosts: "/(/" }, 5] }`,
      'c.pem': cert,
      'k.pem': key,
    });
    const keys = problems.map((problem) => problem.split(': ')[1]);
    assert.deepEqual(keys, [
      'certificates[0].hosts',
      'certificates[0].ocsp',
      'certificates[1].cert',
      'certificates[1].key',
      'certificates[1].hosts',
      'certificates[2]',
    ]);
  });

  it('warn when others may read the key', async () => {
    const { problems, warnings } = await load({
      'server.json5': entry('cert: "c.pem", key: "k.pem"'),
      'domains/a.json5': SERVED,
      'c.pem': { text: cert, mode: 0o644 },
      'k.pem': { text: key, mode: 0o644 },
    });
    assert.deepEqual(problems, []);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /certificates\[0\]\.key: others may read the key file k\.pem; chmod 600 it$/);
  });
});
