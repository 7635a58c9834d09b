import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AgentDomainOptions } from '../../src/agent/options.ts';
import { resolveAgentOptions } from '../../src/agent/resolve-options.ts';
import type { BackdialError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';

const DOMAIN: AgentDomainOptions = {
  name: 'www.test',
  secret: new Secret('not to be shown anywhere'),
  target: { kind: 'tcp', host: '127.0.0.1', port: 3000 },
};

describe('agent options', () => {
  test('every default is filled in, and the result cannot be changed', () => {
    const options = resolveAgentOptions({ domains: [DOMAIN] });
    const [domain] = options.domains;
    assert.equal(options.connectTimeoutMs, 5_000);
    assert.equal(options.readTimeoutMs, 60_000);
    assert.equal(options.drainMs, 30_000);
    assert.equal(domain?.connections, 2);
    assert.equal(domain?.concurrency, 1_000);
    assert.equal(domain?.service, '/.well-known/backdial-agent');
    assert.deepEqual(domain?.remotes, [{ host: 'www.test', port: 443, label: 'www.test:443' }]);
    assert.deepEqual(domain?.trust, { insecure: false, ca: null, pin: null });
    assert.match(domain?.instance ?? '', /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
    assert.ok(Object.isFrozen(options) && Object.isFrozen(options.domains) && Object.isFrozen(domain));
  });

  test('servers are named with and without port, by name and by IP address, each once', () => {
    const remote = ['A.example', 'a.example.:443', 'b.example:8443', '192.0.2.1', '[2001:db8::1]:444', '2001:db8::2'];
    const [domain] = resolveAgentOptions({ domains: [{ ...DOMAIN, remote }] }).domains;
    assert.deepEqual(
      domain?.remotes.map(({ label }) => label),
      ['a.example:443', 'b.example:8443', '192.0.2.1:443', '[2001:db8::1]:444', '[2001:db8::2]:443'],
    );
  });

  test('an interface in a link-local address keeps its capitals, which tell it from others', () => {
    const remote = ['[FE80::A%enP2]:444', 'fe80::a%enp2'];
    const [domain] = resolveAgentOptions({ domains: [{ ...DOMAIN, remote }] }).domains;
    assert.deepEqual(
      domain?.remotes.map(({ label }) => label),
      ['[fe80::a%enP2]:444', '[fe80::a%enp2]:443'],
    );
  });

  const wrong: ReadonlyArray<[given: Partial<AgentDomainOptions>, problem: RegExp]> = [
    [{ name: 'WWW.test' }, /canonical form/],
    [{ name: '*.test' }, /needs `remote`/],
    [{ name: '*.test', remote: ['not a host'] }, /not a host is not host/],
    [{ remote: [] }, /`remote` is empty/],
    [{ remote: ['https://a.example'] }, /https:\/\/a\.example is not host/],
    [{ remote: ['a.example:0'] }, /a\.example:0 is not host/],
    [{ remote: ['a.example:99999'] }, /99999 is not host/],
    [{ remote: ['127.0.0.1:99999'] }, /99999 is not host/],
    [{ service: 'x' }, /`service`/],
    [{ service: '/a b' }, /`service`/],
    [{ instance: 'Web_1' }, /`instance`/],
    [{ identity: 'a:b' }, /`identity`/],
    [{ identity: 'ü'.repeat(65) }, /`identity` must be 1 to 128 bytes/],
    [{ pin: 'sha256/abc' }, /`pin`/],
    [{ ca: 'no PEM' }, /`ca` is no certificate/],
    [{ connections: 0 }, /`connections` must be 1 to 64/],
    [{ concurrency: 1.5 }, /`concurrency`/],
    [{ secret: new Secret('') }, /the secret is empty/],
    [{ secret: new Secret('two\nlines') }, /the secret has characters/],
    [{ target: { kind: 'unix', path: 'x.sock' } }, /must be absolute/],
    [{ target: { kind: 'tcp', host: '', port: 0 } }, /no host.*port must be 1 to 65535/],
    [{ target: { kind: 'https', host: 'a', port: 443, ca: 'x' } }, /the target's `ca`/],
  ];
  for (const [given, problem] of wrong) {
    test(`refused: ${JSON.stringify(given)}`, () => {
      assert.throws(() => resolveAgentOptions({ domains: [{ ...DOMAIN, ...given }] }), {
        code: 'config-invalid',
        message: problem,
      });
    });
  }

  test('all problems are told at once, and no secret with them', () => {
    const given = {
      domains: [{ ...DOMAIN, instance: '-' }, DOMAIN],
      connectTimeoutMs: 0,
      drainMs: -1,
      proxyEnvironment: { HTTPS_PROXY: 'ftp://me:hidden@x' },
    };
    assert.throws(
      () => resolveAgentOptions(given),
      ({ message }: BackdialError) =>
        ['`instance`', 'given twice', '`connectTimeoutMs`', '`drainMs`', 'HTTPS_PROXY'].every((part) =>
          message.includes(part),
        ) &&
        !message.includes('hidden') &&
        !message.includes('not to be shown'),
    );
    assert.throws(() => resolveAgentOptions({ domains: [] }), { code: 'config-invalid' });
  });

  test('that are not what the types say are named, all at once', () => {
    const refused = (given: unknown, message: RegExp) =>
      assert.throws(() => resolveAgentOptions(given as never), { code: 'config-invalid', message });
    refused({}, /: `domains` is missing$/);
    refused(null, /: the options: found null; wanted: an object$/);
    refused(
      { domains: [{ ...DOMAIN, secret: 'text', remote: 'a:1', instanse: 'x' }] },
      new RegExp(
        '`domains\\[0\\]\\.secret`: found a string; wanted: a Secret.*; `domains\\[0\\]\\.remote`: .* a list; ' +
          '`domains\\[0\\]\\.instanse` is no option; probably `instance`$',
      ),
    );
    refused(
      { domains: [{ ...DOMAIN, target: 'http://a' }] },
      /`domains\[0\]\.target`: found a string; wanted: \{ kind: 'tcp'/,
    );
    const targets = [{ target: [{ target: DOMAIN.target, weight: 2 }, { target: { kind: 'http' } }], query: { a: 1 } }];
    refused(
      { domains: [{ ...DOMAIN, target: undefined, targets }] },
      /targets\[0\]\.target\[1\]\.target`: found an object; .*targets\[0\]\.query\.a`: found a number; wanted: a string or null$/,
    );
  });
});
