import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveAgentOptions } from '../../src/agent/resolve-options.ts';
import { type AgentConfig, loadAgent } from '../../src/config/load-agent.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { testAuthority } from '../support/certificates.ts';
import { type FolderFiles, withFolder } from '../support/with-folder.ts';

const SECRET = 'a secret of a test, long enough';
const PIN = `sha256/${'A'.repeat(43)}=`;
const domain = (more: string) => `{ active: true, secret: "${SECRET}", ${more} }`;

/** What one of `targets` may not have, beside its target. */
const TARGET_WRONGS: readonly (readonly [title: string, text: string, problem: RegExp])[] = [
  ['an empty name', 'name: ""', /targets\[0\]\.name: found ""; allowed: 1 to 64/],
  ['a path that is no expression', 'path: "^/(a"', /1:89: targets\[0\]\.path: the regular expression has a \( without/],
  [
    'a path of exponential size',
    'path: "((a{50}){50}){50}"',
    /targets\[0\]\.path: the regular expression is too large/,
  ],
  ['a method with lookahead', 'method: "(?=G)"', /targets\[0\]\.method: the regular expression has a group of a kind/],
  ['a rewrite without a path', 'method: "GET", rewrite: "/"', /rewrite: the replacement replaces what `path` matches/],
  [
    'a rewrite with an unknown group',
    'path: "^/", rewrite: "/$1"',
    /rewrite: the replacement has \$1, which is no group/,
  ],
  ['a query that is a text', 'query: "a=b"', /query: found "a=b"; allowed: an object such as/],
  ['a query with a number', 'query: { a: 1 }', /query: found an object; allowed: an object such as/],
  ['a host with a blank', 'host: "a b"', /host: found "a b"; allowed: "forwarded", "target", or a host/],
  ['a PROXY protocol of the future', 'proxyProtocol: 3', /proxyProtocol: found 3; allowed: 1, 2 or null/],
];

async function load(files: FolderFiles) {
  return withFolder({ 'domains/.keep': '', 'agent.json5': '{}', ...files }, async (folder) => {
    const result = await loadAgent(`${folder}/agent.json5`);
    const lines = (problems: readonly Parameters<typeof formatProblem>[0][]) =>
      problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ''));
    const problems = result.ok ? [] : lines(result.problems);
    return { config: result.ok ? result.config : null, problems, warnings: lines(result.warnings), folder };
  });
}

async function config(files: FolderFiles): Promise<AgentConfig> {
  const loaded = await load(files);
  assert.deepEqual(loaded.problems, []);
  return loaded.config ?? assert.fail();
}

describe("an agent's configuration", () => {
  it('becomes options', async () => {
    const ca = testAuthority().cert;
    const { options, log, inactive } = await config({
      'agent.json5': `{
        connectTimeout: "1s", readTimeout: 0, writeTimeout: "5s", drain: "1m",
        log: { level: "warn", system: "console", access: "console" },
      }`,
      'ca.pem': ca,
      'domains/_.example.com.json5': domain(`
        identity: "ci", remote: ["Tunnel.example.com", "203.0.113.7:8443", "2001:db8::1"], service: "/agents", ca: "../ca.pem",
        pin: "${PIN}", instance: "web-1", connections: 4, concurrency: 50,
        targets: [{ target: "https://nas.lan", tls: { verify: false, ca: "../ca.pem" } }]
      `),
      'domains/db.json5': '{ active: true, secret: "@db.secret", targets: { target: "unix:db.sock" } }',
      'domains/db.secret': `${SECRET}\r\n`,
      'domains/off.json5': '{ targets: { target: 1 } }',
    });
    const [wild, db] = options.domains;
    assert.equal(wild?.secret?.reveal(), SECRET);
    assert.equal(db?.secret?.reveal(), SECRET);
    const target = db?.targets?.[0]?.target ?? assert.fail();
    const socket = 'kind' in target && target.kind === 'unix' ? target.path : '';
    assert.match(socket, /\/domains\/db\.sock$/);
    assert.deepEqual(options, {
      connectTimeoutMs: 1_000,
      readTimeoutMs: 0,
      writeTimeoutMs: 5_000,
      drainMs: 60_000,
      domains: [
        {
          name: '*.example.com',
          secret: wild?.secret,
          identity: 'ci',
          remote: ['tunnel.example.com:443', '203.0.113.7:8443', '[2001:db8::1]:443'],
          service: '/agents',
          ca,
          pin: PIN,
          instance: 'web-1',
          connections: 4,
          concurrency: 50,
          targets: [{ target: { kind: 'https', host: 'nas.lan', port: 443, verify: false, ca } }],
          ports: {},
        },
        {
          name: 'db',
          secret: db?.secret,
          remote: ['db:443'],
          targets: [{ target: { kind: 'unix', path: socket } }],
          ports: {},
        },
      ],
    });
    assert.deepEqual(log, { level: 'warn', system: ['console'], access: ['console'], disconnected: false });
    assert.deepEqual(inactive, ['off']);
  });

  it('has routes', async () => {
    const { options } = await config({
      'ca.pem': testAuthority().cert,
      'domains/www.json5': domain(`
        targets: [
          { name: "api", method: "^(GET|HEAD)$", path: "^/api/(.*)", rewrite: "/$1", target: "unix:api.sock",
            query: { key: "a b", debug: null }, host: "target", proxyProtocol: 2 },
          { path: null, host: "static.lan:8080", tls: { ca: "../ca.pem" },
            target: [3000, { url: "https://nas.lan", weight: 3 }, { url: "tcp://nas:1" }] },
        ],
        ports: { "5432": "127.0.0.1:5432", "22": 22 }
      `),
    });
    const [given] = options.domains;
    const [api, rest] = given?.targets ?? [];
    assert.ok(api !== undefined && 'kind' in api.target && api.target.kind === 'unix');
    assert.deepEqual(api, {
      name: 'api',
      method: '^(GET|HEAD)$',
      path: '^/api/(.*)',
      rewrite: '/$1',
      target: { kind: 'unix', path: api.target.path },
      query: { key: 'a b', debug: null },
      host: 'target',
      proxyProtocol: 2,
    });
    assert.deepEqual(rest, {
      host: 'static.lan:8080',
      target: [
        { target: { kind: 'tcp', host: 'localhost', port: 3_000 } },
        { target: { kind: 'https', host: 'nas.lan', port: 443, ca: testAuthority().cert }, weight: 3 },
        { target: { kind: 'tcp', host: 'nas', port: 1 } },
      ],
    });
    assert.deepEqual(given?.ports, {
      22: { kind: 'tcp', host: 'localhost', port: 22 },
      5432: { kind: 'tcp', host: '127.0.0.1', port: 5_432 },
    });
    assert.equal(resolveAgentOptions(options).domains[0]?.streamPerVisitor, true);
  });

  it('may have ports alone', async () => {
    for (const ports of ['{ "5432": 5432 }', '{ 5432: 5432 }', "{ // 1: 2\n '5432' : 5432 }"]) {
      const { options } = await config({ 'domains/db.json5': domain(`ports: ${ports}`) });
      assert.deepEqual(options.domains[0]?.targets, []);
      assert.deepEqual(options.domains[0]?.ports, { 5432: { kind: 'tcp', host: 'localhost', port: 5432 } });
    }
  });

  const wrongs: readonly (readonly [title: string, text: string, problem: RegExp])[] = [
    ['no secret', '{ active: true, targets: { target: 1 } }', /1:1: secret: found none/],
    [
      'a hash for a secret',
      `{ secret: "$6$saltstring$x" }`,
      /1:11: secret: the secret is a hash; an agent needs the secret itself/,
    ],
    ['a list of secrets', `{ secret: ["${SECRET}"] }`, /1:11: secret: found a list; allowed: a text or "@file"/],
    ['no target', `{ active: true, secret: "${SECRET}" }`, /1:1: targets: found nothing; allowed: one entry such as/],
    ['an empty list of targets', '{ targets: [] }', /1:12: targets: found nothing/],
    [
      'a target without its address',
      domain('targets: [{}]'),
      /1:70: targets\[0\]\.target: found nothing; the key is needed/,
    ],
    [
      'a target that is a text',
      domain('targets: "3000"'),
      /1:69: targets: found "3000"; allowed: \{ target: "3000" \}, or a list of such/,
    ],
    [
      'a text that is no target',
      domain('targets: ["nowhere"]'),
      /1:70: targets\[0\]: found "nowhere"; allowed: an object with the keys name, method, path, target, /,
    ],
    [
      'credentials in a target',
      domain('targets: { target: "http://u:hunter2@h" }'),
      /targets\.target: found "http:\/\/\[redacted\]@h"; allowed: /,
    ],
    [
      'tls settings beside a target in the clear',
      domain('targets: { target: 1, tls: { verify: false } }'),
      /targets\.tls: found settings beside a target that is not https/,
    ],
    [
      'a certificate authority that is none',
      domain('targets: { target: 1 }, ca: "x.json5"'),
      /ca: the certificate file domains\/x\.json5 has no certificate/,
    ],
    [
      'a pin of another kind',
      domain('targets: { target: 1 }, pin: "sha1/AAAA"'),
      /pin: found "sha1\/AAAA"; allowed: "sha256\/" and 44 characters/,
    ],
    [
      'an instance of two labels',
      domain('targets: { target: 1 }, instance: "a.b"'),
      /instance: found "a\.b"; allowed: one label/,
    ],
    [
      'no tunnels',
      domain('targets: { target: 1 }, connections: 0'),
      /connections: found 0; allowed: a whole number from 1 to 64/,
    ],
    [
      'no servers',
      domain('targets: { target: 1 }, remote: []'),
      /remote: found an empty list; allowed: at least one server/,
    ],
    ...TARGET_WRONGS.map(
      ([title, text, problem]) => [title, domain(`targets: [{ target: 1, ${text} }]`), problem] as const,
    ),
    ['an empty weighted list', domain('targets: { target: [] }'), /targets\.target: found an empty list/],
    [
      'a weight of 0',
      domain('targets: { target: [{ url: 1, weight: 0 }] }'),
      /target\[0\]\.weight: found 0; allowed: /,
    ],
    ['a weight without a URL', domain('targets: { target: [{ weight: 1 }] }'), /target\[0\]\.url: found nothing/],
    [
      'a wrong URL in a list',
      domain('targets: { target: [1, "ftp://h"] }'),
      /target\[1\]: found "ftp:\/\/h"; allowed: /,
    ],
    ['ports in a list', domain('ports: [5432]'), /ports: found a list; allowed: an object such as/],
    ['a port that is none', domain('ports: { "70000": 1 }'), /1:69: ports\.70000: found "70000"; allowed: a port/],
    ['a port of HTTP', domain('ports: { "443": 1 }'), /ports\.443: port 443 always means `targets`/],
    ['a port to nowhere', domain('ports: { "22": "x" }'), /1:75: ports\.22: found "x"; allowed: "http:/],
    ['a number that is no port', domain('ports: { 70000: 1 }'), /1:69: ports\.70000: found "70000"; allowed: a port/],
    ['a wrong target behind a number', domain('ports: { 22: "x" }'), /1:73: ports\.22: found "x"; allowed: "http:/],
  ];
  for (const [title, text, problem] of wrongs) {
    it(`may not have ${title}`, async () => {
      const { problems } = await load({ 'domains/x.json5': text });
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', /^domains\/x\.json5:1:\d+: /);
      assert.match(problems[0] ?? '', problem);
    });
  }

  it('needs a server for a wildcard', async () => {
    const { problems } = await load({ 'domains/_.example.com.json5': domain('targets: { target: 1 }') });
    assert.deepEqual(problems, [
      'domains/_.example.com.json5:1:1: remote: found nothing; a wildcard domain needs the server to dial',
    ]);
  });

  it('needs time to connect to a target', async () => {
    const { problems } = await load({ 'agent.json5': '{ connectTimeout: 0 }' });
    assert.deepEqual(problems, [
      'agent.json5:1:19: connectTimeout: found 0; allowed: a duration such as "5s" (ms, s, m, h or d; at most 24d)',
    ]);
  });

  it('says what else there is where no domain is active', async () => {
    const none = await load({ 'domains/www.example.com': '{}', 'domains/www.example.com.json5~': '{}' });
    assert.deepEqual(none.warnings, [
      `agent.json5:1:1: domains: no file in domains ends in .json5 or .json, as those of domains do (there is www.example.com)`,
      'agent.json5:1:1: domains: no domain is active: nothing is served; the folder of domains has no file such as www.example.com.json5',
    ]);
    const inactive = await load({ 'domains/www.example.com.json5': '{}', 'domains/readme.txt': '' });
    assert.deepEqual(inactive.warnings, [
      'agent.json5:1:1: domains: no domain is active: nothing is served; set `active: true` in the file of one, such as www.example.com',
    ]);
  });

  it('warns of what is unsafe', async () => {
    const { problems, warnings } = await load({
      'domains/x.json5': domain('insecure: true, targets: { target: "https://h", tls: { verify: false } }'),
    });
    assert.deepEqual(problems, []);
    assert.equal(warnings.length, 2);
    assert.match(warnings[0] ?? '', /insecure: any certificate of the server is accepted/);
    assert.match(warnings[1] ?? '', /targets\.tls\.verify: any certificate of the target is accepted/);
    const pin = `sha256/${'A'.repeat(43)}=`;
    const pinned = await load({
      'domains/x.json5': domain(`insecure: true, pin: "${pin}", targets: { target: 3000 }`),
    });
    assert.deepEqual([pinned.problems, pinned.warnings], [[], []]);
  });

  it('is not that of a server', async () => {
    const { problems } = await load({ 'agent.json5': '{ listen: 443 }' });
    assert.ok(
      problems.some((problem) => problem.endsWith("a file with this key is a server's; run `backdial server` with it")),
    );
  });
});
