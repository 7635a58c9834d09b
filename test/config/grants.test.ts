import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadServer } from '../../src/config/load-server.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { type FolderFiles, withFolder } from '../support/with-folder.ts';

const SECRET = 'a secret of a test, long enough';

async function load(server: string, domain = '', more: FolderFiles = {}) {
  const files = {
    'server.json5': `{ ${server} }`,
    'domains/a.example.json5': `{ active: true, secret: "${SECRET}", ${domain} }`,
    ...more,
  };
  return withFolder(files, async (folder) => {
    const result = await loadServer(`${folder}/server.json5`);
    const problems = result.ok ? [] : result.problems.map(formatProblem);
    return {
      options: result.ok ? result.config.options : null,
      problems: problems.map((p) => p.replaceAll(`${folder}/`, '')),
    };
  });
}

describe('grants, in the files of a server', () => {
  it('become options: of identities, and of who serves a domain', async () => {
    const { options, problems } = await load(
      `grants: [
        { identity: "ci", secret: ["@ci.secret", "${SECRET}"], domains: ["*.Dev.example.com", "x.test"], ports: [22, "2000-2999"],
          destinations: ["10.0.0.0/8:5432", "192.0.2.7", "db.lan:1-9", "*.lan", "2001:db8::/32", "[2001:db8::]:80", "::1"],
          connect: ["db.internal:5432", "*.testdom", "*:22", "*"] },
        { certificate: "*.ops.example.com", connect: "db.internal" },
        { identity: "both", secret: "${SECRET}", certificate: "a.example.net" },
      ]`,
      'grants: { domains: "b.example", ports: 80 }',
      { 'ci.secret': 'a secret from a file\n' },
    );
    assert.deepEqual(problems, []);
    const [ci, ops, both] = options?.grants ?? [];
    const { secrets = [], ...granted } = ci ?? assert.fail();
    assert.deepEqual(
      secrets.map((secret) => secret.reveal()),
      ['a secret from a file', SECRET],
    );
    assert.deepEqual(granted, {
      identity: 'ci',
      certificate: null,
      domains: ['*.dev.example.com', 'x.test'],
      ports: [
        { first: 22, last: 22 },
        { first: 2_000, last: 2_999 },
      ],
      destinations: [
        { host: { address: '10.0.0.0', prefix: 8 }, ports: { first: 5_432, last: 5_432 } },
        { host: { address: '192.0.2.7', prefix: 32 }, ports: null },
        { host: 'db.lan', ports: { first: 1, last: 9 } },
        { host: '*.lan', ports: null },
        { host: { address: '2001:db8::', prefix: 32 }, ports: null },
        { host: { address: '2001:db8::', prefix: 128 }, ports: { first: 80, last: 80 } },
        { host: { address: '::1', prefix: 128 }, ports: null },
      ],
      connect: [
        { name: 'db.internal', ports: { first: 5_432, last: 5_432 } },
        { name: '*.testdom', ports: null },
        { name: '*', ports: { first: 22, last: 22 } },
        { name: '*', ports: null },
      ],
    });
    assert.deepEqual([ops?.identity, ops?.certificate, ops?.secrets], ['*.ops.example.com', '*.ops.example.com', []]);
    assert.deepEqual([both?.identity, both?.certificate, both?.secrets?.length], ['both', 'a.example.net', 1]);
    assert.deepEqual(options?.domains[0]?.grants, {
      domains: ['b.example'],
      ports: [{ first: 80, last: 80 }],
      destinations: [],
      connect: [],
    });
  });

  const HOSTS = '"10.0.0.0/8:5432", "[2001:db8::/32]:5432", "db.lan:5432", or one of these without a port';
  const faults: readonly (readonly [grants: string, problem: string])[] = [
    [
      '{ secret: "a secret of enough bytes" }',
      '1:11: grants.identity: found nothing; who shows a secret shows the name with it',
    ],
    [
      '{ identity: "ci" }',
      '1:11: grants.secret: found neither `secret` nor `certificate`; an identity needs one, or nobody could prove it',
    ],
    [
      '{ identity: "a:b", secret: "a secret of enough bytes" }',
      '1:23: grants.identity: found "a:b"; allowed: 1 to 128 bytes without a colon and control characters',
    ],
    [
      '{ identity: "a.example", secret: "a secret of enough bytes" }',
      "1:23: grants.identity: a.example is a domain; what its holder may do beside it is `grants` of the domain's file",
    ],
    [
      '[{ identity: "x", certificate: "a.b" }, { identity: "x", certificate: "a.c" }]',
      '1:63: grants[1].identity: the identity x is there already; one entry has all of its grants',
    ],
    [
      '{ certificate: "a_b" }',
      '1:26: grants.certificate: found "a_b"; allowed: a host name such as "www.example.com", or "*.dev.example.com"',
    ],
    ['{ certificate: "a.b", ports: 0 }', '1:40: grants.ports: found 0; allowed: a port or a range such as "2000-2999"'],
    [
      '{ certificate: "a.b", ports: ["9-3"] }',
      '1:41: grants.ports[0]: found "9-3"; allowed: a port or a range such as "2000-2999"',
    ],
    [
      '{ certificate: "a.b", domains: "*" }',
      '1:42: grants.domains: found "*"; allowed: a host name such as "www.example.com", or "*.dev.example.com"',
    ],
    [
      '{ certificate: "a.b", connect: ["a b"] }',
      '1:43: grants.connect[0]: found "a b"; allowed: "db.internal:5432", "*.testdom", "*", with or without a port',
    ],
    [
      '{ certificate: "a.b", connect: ["a:x"] }',
      '1:43: grants.connect[0]: found "a:x"; allowed: "db.internal:5432", "*.testdom", "*", with or without a port',
    ],
    ['{ certificate: "a.b", destinations: ["*"] }', `1:48: grants.destinations[0]: found "*"; allowed: ${HOSTS}`],
    ['{ certificate: "a.b", destinations: 5 }', `1:47: grants.destinations: found 5; allowed: ${HOSTS}`],
    [
      '{ certificate: "a.b", destinations: ["db.lan:70000"] }',
      '1:48: grants.destinations[0]: found "db.lan:70000"; allowed: a port or a range such as "2000-2999" after the colon',
    ],
    [
      '{ certificate: "a.b", destinations: ["10.0.0.1/8:1"] }',
      '1:48: grants.destinations[0]: found "10.0.0.1/8"; allowed: "10.0.0.0/8" for the network, "10.0.0.1" for the one host',
    ],
    [
      '{ certificate: "a.b", destination: [] }',
      '1:33: grants.destination: unknown key; did you mean `destinations`?; allowed: identity, secret, certificate, domains, ports, destinations, connect',
    ],
    [
      '"ci"',
      '1:11: grants: found "ci"; allowed: an object with the keys identity, secret, certificate, domains, ports, destinations, connect',
    ],
  ];
  for (const [grants, problem] of faults) {
    it(`are refused with their place: ${grants}`, async () => {
      const { problems } = await load(`grants: ${grants}`);
      assert.ok(problems.includes(`server.json5:${problem}`), problems.join('\n'));
    });
  }

  it("of a domain's file have no identity", async () => {
    const { problems } = await load('', 'grants: { identity: "x" }');
    assert.equal(problems.length, 1);
    assert.match(
      problems[0] ?? '',
      /^domains\/a\.example\.json5:1:\d+: grants\.identity: unknown key; allowed: domains, /,
    );
  });
});
