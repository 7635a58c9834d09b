import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { loadAgent } from '../../src/config/load-agent.ts';
import { loadServer } from '../../src/config/load-server.ts';
import type { Loaded } from '../../src/config/loaded.ts';
import { formatKeyPath, type KeyPath } from '../../src/config/problems.ts';
import { testCertificate } from '../support/certificates.ts';
import { SchemaJudge } from '../support/schema-judge.ts';
import { withFolder } from '../support/with-folder.ts';

const SECRET = 'a secret of enough bytes';
const CERTIFICATE = { hosts: 'www.example.com', cert: 'cert.pem', key: 'key.pem' };
const GRANTS = { domains: '*.dev.test', ports: '2000-2999', destinations: '10.0.0.0/8:5432', connect: 'db.test:5432' };
const LOG = { level: 'info', system: { file: 'a.log', rotate: 'daily', keep: 7, gzip: true } };

/** One file of each kind that says all there is to say, and is read without a problem. */
const FILES = {
  server: {
    listen: [
      '127.0.0.1:8443',
      { address: 'unix:s', mode: '0660', owner: '0:0', certificates: CERTIFICATE, proxyProtocol: '10.0.0.0/8' },
    ],
    certificates: [CERTIFICATE],
    domains: 'domains',
    name: 'vps',
    state: 'state',
    service: '/agent',
    headersSize: '64kB',
    bodySize: 0,
    idleTimeout: '65s',
    readTimeout: '10s',
    writeTimeout: '20s',
    connections: 20_000,
    connectionsPerAddress: 5_000,
    unavailable: 404,
    transaction: true,
    redirect: '127.0.0.1:8080',
    admin: { listen: '127.0.0.1:9090', token: SECRET },
    tunnelMemory: '64MB',
    memory: '512MB',
    proxy: { listen: '127.0.0.1:8081', credentials: 'user:password of the user' },
    grants: [{ identity: 'ci', secret: SECRET, certificate: '*.ops.test', ...GRANTS }],
    sni: { hosts: 'hosts', hashed: false },
    drain: '30s',
    log: { ...LOG, access: { syslog: 'udp://127.0.0.1', facility: 'daemon', name: 'n' }, disconnected: false },
  },
  'server-domain': {
    active: true,
    secret: SECRET,
    certificates: 'cert.pem',
    networks: '10.0.0.0/8',
    tls: 'terminate',
    listen: [],
    target: 'http://127.0.0.1:3000',
    proxyProtocol: 1,
    concurrency: 1_000,
    balance: 'random',
    forward: '10.0.0.0/8',
    grants: GRANTS,
    bodySize: 0,
    transaction: true,
    unavailable: 404,
    clients: {
      networks: '::1',
      ranges: 'mon-fri',
      credentials: 'user:password',
      banner: 'b',
      certificates: 'cert.pem',
    },
  },
  agent: {
    domains: 'domains',
    state: 'state',
    connectTimeout: '5s',
    readTimeout: '60s',
    writeTimeout: '20s',
    api: { listen: '127.0.0.1:9090', token: SECRET },
    tunnelMemory: '64MB',
    memory: '512MB',
    drain: '30s',
    log: { ...LOG, access: null },
  },
  'agent-domain': {
    active: true,
    secret: SECRET,
    identity: 'ci',
    certificate: 'cert.pem',
    key: 'key.pem',
    remote: 'vps.test',
    service: '/agent',
    insecure: false,
    ca: 'cert.pem',
    pin: `sha256/${'A'.repeat(43)}=`,
    instance: 'one',
    connections: 2,
    concurrency: 1_000,
    ports: { 5432: '127.0.0.1:5432' },
    targets: {
      name: 'all',
      method: '^GET$',
      path: '^/a',
      target: [{ url: 'https://127.0.0.1:1', weight: 2 }],
      rewrite: '/b',
      query: { a: null },
      host: 'target',
      proxyProtocol: 2,
      tls: { verify: true, ca: 'cert.pem' },
    },
  },
} as const;

type Kind = keyof typeof FILES;

/** What is put in the place of each value. None names a file that is there, or a user. */
const VALUES: readonly unknown[] = [
  ...[null, true, 0, 1, -1, 1.5, 22, 450, 2_000_000, [], [null], [[]], {}, { x: 1 }, ['x'], ['www.example.com', 7]],
  ...[
    '',
    ' ',
    'x',
    'a b',
    '@',
    '\u0000',
    'a\u0007',
    'x'.repeat(300),
    'Ä',
    '-',
    '*',
    ':',
    '/',
    '/x',
    '*.x',
    '*.',
    '\ud83d',
  ],
  ...[
    '0',
    '5',
    '70000',
    '0660',
    '0990',
    '65s',
    '0s',
    '64kB',
    '0M',
    '1MB',
    '64KB',
    '10 s',
    '1.5s',
    '999999999d',
    'daily',
  ],
  ...[
    '10.0.0.0/8',
    '10.0.0.1/8',
    '::1',
    '::/0',
    '1.2.3',
    '10/8',
    '10.0.0.0/129',
    '[::1]:80',
    '[fe80::1%eth0]:80',
    '[fe80::1%]:80',
    '127.0.0.1:80',
    ':80',
    'a:b',
    'a:0',
  ],
  ...[
    'unix:/p',
    'unix:',
    'fd:3',
    'fd:03',
    'systemd:x',
    'systemd:',
    'http://a:1',
    'HTTP://a:1',
    ' http://a:1',
    'http://a/b',
  ],
  ...[
    'https://a',
    'ftp://a',
    'tcp://a',
    'tcp://a:1',
    'udp://a',
    'udp://a:1',
    'www.example.com',
    'WWW.Example.com.',
    'a_b',
    'a..b',
  ],
  ...[
    '$6$x',
    '$6$saltstring$x',
    'user:$6$x',
    'user:',
    'user: x',
    ':x',
    'terminate',
    'random',
    'info',
    'console',
    'target',
  ],
  ...[
    'mon-fri 08:00-19:00',
    'mon 08:00',
    '25:00-',
    '2020-01-01-',
    'Sat-Tue',
    '1-2',
    '2-1',
    '2000-2999',
    'a:1-2',
    'daemon',
  ],
];
/**
 * What no schema knows: files and folders that are not there, users, addresses that are there twice, sizes and times beyond their
 * limits, a range that ends before it begins, a network with bits behind its prefix, a name of too many characters, half a
 * character, a regular expression that is none; and what two keys say together.
 */
const BEYOND: readonly (readonly [key: RegExp, value?: RegExp])[] = [
  [/(?:^|\.)(?:cert|key|ca|certificates?|hosts|owner|file)$|^domains$/],
  [/^redirect$|^admin\.listen$/, /^(?:"(?:unix|fd|systemd|\[|127).*"|\d+)$/],
  [/Timeout$|^drain$|emory$|^headersSize$/, /^"(?:999999999d|64kB)"$/],
  [/ports$/, /"2-1"/],
  [/\.(?:method|path|rewrite)$/, /^"/],
  [/^targets$/, /^null$/],
  [/^target$|\.(?:target|url)$|^ports/, /"(?:http:\/\/a\/b|tcp:\/\/a)"/],
  [/^clients\.credentials$/, /:(?:80|0)"/],
  [/networks$|proxyProtocol$|destinations$|^forward$/, /"10\.0\.0\.1\/8"/],
  [/./, /x{300}|\\ud83d/],
  [/\.(?:identity|secret)$/, /^null$/],
];
const isBeyond = (name: string, value: string): boolean =>
  BEYOND.some(([key, values]) => key.test(name) && values?.test(value) !== false);

/** Each value of a file, the lists and objects among them included, by depth. */
function* placesOf(value: unknown, path: KeyPath = []): Generator<KeyPath> {
  if (path.length > 0) yield path;
  if (typeof value !== 'object' || value === null) return;
  for (const [key, part] of Object.entries(value))
    yield* placesOf(part, [...path, Array.isArray(value) ? Number(key) : key]);
}

function isWithin(path: KeyPath, outer: KeyPath): boolean {
  return path.length > outer.length && outer.every((key, index) => path[index] === key);
}

function replaced(value: unknown, paths: readonly KeyPath[], by: unknown): unknown {
  const copy = structuredClone(value);
  for (const path of paths) {
    const last = path.at(-1) ?? '';
    const owner = path.slice(0, -1).reduce<unknown>((part, key) => (part as Record<string, unknown>)[key], copy);
    (owner as Record<string, unknown>)[last] = by;
  }
  return copy;
}

describe('the JSON Schemas and the parsers of the files', () => {
  for (const kind of Object.keys(FILES) as Kind[]) {
    it(`agree on each value of a ${kind} file: what is read is accepted, what a schema can know is refused`, async () => {
      const judge = new SchemaJudge(kind);
      const given = FILES[kind];
      const { cert, key } = testCertificate();
      const pem = { 'cert.pem': cert, 'key.pem': key, 'domains/cert.pem': cert, 'domains/key.pem': key };
      await withFolder(pem, async (folder) => {
        const load = await loaderOf(folder, kind);
        const first = await load(given);
        assert.ok(first.ok, JSON.stringify(!first.ok && first.problems));
        assert.deepEqual(judge.errors(given), []);
        const places = [...placesOf(given)];
        const inner = places.filter((path) => places.some((other) => isWithin(other, path)));
        const levels = [
          places.filter((path) => !inner.includes(path)),
          ...[1, 2, 3].map((depth) => inner.filter(({ length }) => length === depth)),
        ];
        const wrong: string[] = [];
        const missed: string[] = [];
        for (const value of VALUES) {
          // What stands in an object or a list matters to what reads that as a whole only as being neither.
          const isText = typeof value === 'string' && value !== 'x';
          for (const concerned of isText ? levels.slice(0, 1) : levels) {
            const changed = replaced(given, concerned, value);
            const loaded = await load(changed);
            const problems = loaded.ok ? [] : loaded.problems.map((problem) => problem.key);
            const errors = judge.errors(changed).map(({ instancePath }) => instancePath);
            for (const path of concerned) {
              const name = formatKeyPath(path);
              const isRefused = problems.some(
                (problem) => problem === name || problem.startsWith(`${name}[`) || problem.startsWith(`${name}.`),
              );
              const pointer = `/${path.join('/')}`;
              const isFound = errors.some((at) => at === pointer || at.startsWith(`${pointer}/`));
              const text = `${name}: ${JSON.stringify(value)}`;
              if (isFound && !isRefused && !problems.some((problem) => name.startsWith(`${problem}.`)))
                wrong.push(text);
              if (isRefused && !isFound && !isBeyond(name, JSON.stringify(value))) missed.push(text);
            }
          }
        }
        assert.deepEqual(wrong, [], 'read without a problem, and refused by the schema');
        assert.deepEqual(missed, [], 'refused by the parser, and accepted by the schema');
      });
    });
  }
});

async function loaderOf(folder: string, kind: Kind): Promise<(value: unknown) => Promise<Loaded<unknown>>> {
  const side = kind.startsWith('server') ? 'server' : 'agent';
  const isDomain = kind.endsWith('-domain');
  const main = `${folder}/${side}.json5`;
  const domain = `${folder}/domains/www.example.com.json5`;
  await mkdir(`${folder}/hosts`);
  const base = side === 'server' ? { listen: '127.0.0.1:0', certificates: CERTIFICATE } : {};
  if (isDomain) await writeFile(main, JSON.stringify(base));
  return async (value) => {
    await writeFile(isDomain ? domain : main, JSON.stringify(value), { mode: 0o600 });
    return side === 'server' ? loadServer(main) : loadAgent(main);
  };
}
