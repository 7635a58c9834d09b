import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AgentConfig, loadAgent } from '../../src/config/load-agent.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { testAuthority } from '../support/certificates.ts';
import { type FolderFiles, withFolder } from '../support/with-folder.ts';

const SECRET = 'a secret of a test, long enough';
const PIN = `sha256/${'A'.repeat(43)}=`;
const domain = (more: string) => `{ active: true, secret: "${SECRET}", ${more} }`;

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
    assert.equal(wild?.secret.reveal(), SECRET);
    assert.equal(db?.secret.reveal(), SECRET);
    const socket = db?.target.kind === 'unix' ? db.target.path : '';
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
          target: { kind: 'https', host: 'nas.lan', port: 443, verify: false, ca },
        },
        { name: 'db', secret: db?.secret, remote: ['db:443'], target: { kind: 'unix', path: socket } },
      ],
    });
    assert.deepEqual(log, { level: 'warn', system: ['console'], access: ['console'], disconnected: false });
    assert.deepEqual(inactive, ['off']);
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
    ['two targets', domain('targets: [{ target: 1 }, { target: 2 }]'), /1:85: targets\[1\]: found a second entry/],
    [
      'a target without its address',
      domain('targets: [{}]'),
      /1:70: targets\[0\]\.target: found nothing; the key is needed/,
    ],
    [
      'a target that is a text',
      domain('targets: "3000"'),
      /1:69: targets: found "3000"; allowed: an object with the keys target, tls/,
    ],
    [
      'a route',
      domain('targets: { target: 1, path: "^/" }'),
      /targets\.path: this version does not support the key yet; allowed: target, tls/,
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
    ['ports', domain('targets: { target: 1 }, ports: {}'), /ports: this version does not support the key yet/],
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

  it('warns of what is unsafe', async () => {
    const { problems, warnings } = await load({
      'domains/x.json5': domain('insecure: true, targets: { target: "https://h", tls: { verify: false } }'),
    });
    assert.deepEqual(problems, []);
    assert.equal(warnings.length, 2);
    assert.match(warnings[0] ?? '', /insecure: any certificate of the server is accepted/);
    assert.match(warnings[1] ?? '', /targets\.tls\.verify: any certificate of the target is accepted/);
  });

  it('is not that of a server', async () => {
    const { problems } = await load({ 'agent.json5': '{ listen: 443 }' });
    assert.ok(
      problems.some((problem) => problem.endsWith("a file with this key is a server's; run `backdial server` with it")),
    );
  });
});
