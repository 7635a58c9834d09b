import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { DomainTable } from '../../src/server/domain-table.ts';
import { Holder, type Verdict } from '../../src/server/holder.ts';
import { identify } from '../../src/server/identify.ts';
import type { GrantOptions, IdentityOptions } from '../../src/server/options.ts';
import { resolveIdentity } from '../../src/server/resolve-grants.ts';
import { resolveDomain } from '../../src/server/resolve-options.ts';

const SERVER = { maxBodyBytes: 0, transaction: true, unavailableStatus: 404 };
const SECRET = new Secret('a secret of enough bytes');

const domain = (name: string, grants: GrantOptions = {}, secret = SECRET) =>
  resolveDomain({ name, secrets: [secret], grants }, SERVER);

const DOMAINS = [
  domain('www.test', { connect: [{ name: 'db.test', ports: { first: 5_432, last: 5_432 } }], domains: ['api.test'] }),
  domain('db.test'),
  domain('*.wild.test', {}, new Secret('the secret of the wildcard')),
  domain('own.wild.test', {}, new Secret('the secret of its own file')),
];
const TABLE = new DomainTable(DOMAINS, ['off.wild.test']);

function identity(grants: GrantOptions): Holder {
  const all = resolveIdentity({ identity: 'ci', secrets: [SECRET], ...grants });
  return new Holder([{ kind: 'identity', identity: all }], () => TABLE);
}

const says = (verdict: Verdict) => (verdict.granted ? `${verdict.key}[${verdict.index}]` : verdict.missing);

describe('a holder', () => {
  it('claims what its grants name, with one label more for a wildcard', () => {
    const holder = identity({ domains: ['x.test', '*.dev.test'] });
    assert.equal(says(holder.mayClaim('x.test')), 'domains[0]');
    assert.equal(says(holder.mayClaim('a.dev.test')), 'domains[1]');
    assert.equal(says(holder.mayClaim('*.dev.test')), 'domains[1]');
    for (const other of ['dev.test', 'a.b.dev.test', 'a.x.test', 'www.test', '*.test']) {
      const missing = `no grant of \`domains\` allows ${other} to identity ci`;
      assert.deepEqual(holder.mayClaim(other), { granted: false, missing });
    }
  });

  it('of a domain claims that domain alone, of a wildcard each name that has no file of its own', () => {
    const of = (name: string) =>
      new Holder([{ kind: 'domain', policy: TABLE.find(name) ?? assert.fail() }], () => TABLE);
    assert.equal(says(of('db.test').mayClaim('db.test')), 'own[0]');
    assert.equal(of('db.test').mayClaim('www.test').granted, false);
    assert.equal(of('db.test').mayClaim('a.db.test').granted, false);
    assert.equal(says(of('www.test').mayClaim('api.test')), 'domains[0]');
    assert.equal(says(of('*.wild.test').mayClaim('any.wild.test')), 'own[0]');
    for (const other of ['own.wild.test', 'off.wild.test', 'a.b.wild.test', 'wild.test']) {
      assert.equal(of('*.wild.test').mayClaim(other).granted, false, other);
    }
    assert.equal(of('own.wild.test').mayClaim('any.wild.test').granted, false);
  });

  it('opens ports of its ranges, ends included', () => {
    const holder = identity({
      ports: [
        { first: 22, last: 22 },
        { first: 2_000, last: 2_999 },
      ],
    });
    assert.deepEqual(
      [22, 2_000, 2_999].map((port) => says(holder.mayOpenPort(port))),
      ['ports[0]', 'ports[1]', 'ports[1]'],
    );
    assert.equal(says(holder.mayOpenPort(3_000)), 'no grant of `ports` allows 3000 to identity ci');
    assert.equal(holder.mayOpenPort(21).granted, false);
  });

  it('reaches destinations by the address that is dialled, or by the name that was asked for', () => {
    const postgres = { first: 5_432, last: 5_432 };
    const holder = identity({
      destinations: [
        { host: { address: '10.0.0.0', prefix: 8 }, ports: postgres },
        { host: 'db.lan', ports: null },
        { host: '*.svc.lan', ports: postgres },
      ],
    });
    const reach = (host: string, port: number, address: string | null) =>
      holder.mayReachDestination(host, port, address).granted;
    assert.equal(reach('10.1.2.3', 5_432, '10.1.2.3'), true);
    assert.equal(reach('10.1.2.3', 5_432, null), true);
    assert.equal(reach('::ffff:10.1.2.3', 5_432, '::ffff:10.1.2.3'), true);
    assert.equal(reach('10.1.2.3', 5_433, '10.1.2.3'), false);
    assert.equal(reach('any.name', 5_432, '10.9.9.9'), true);
    assert.equal(reach('any.name', 5_432, '127.0.0.1'), false);
    assert.equal(reach('any.name', 5_432, '169.254.169.254'), false);
    assert.equal(reach('192.0.2.1', 5_432, null), false);
    assert.equal(reach('db.lan', 1, '127.0.0.1'), true);
    assert.equal(reach('a.svc.lan', 5_432, '192.0.2.1'), true);
    assert.equal(reach('a.b.svc.lan', 5_432, '192.0.2.1'), false);
    // Before the name is resolved: some address of it might be granted, or none ever.
    assert.equal(reach('any.name', 5_432, null), true);
    assert.equal(reach('any.name', 80, null), false);
    assert.equal(identity({}).mayReachDestination('any.name', 80, null).granted, false);
    assert.equal(
      says(holder.mayReachDestination('any.name', 5_432, '127.0.0.1')),
      'no grant of `destinations` allows any.name:5432 (127.0.0.1) to identity ci',
    );
  });

  it('connects to names, instances of them included, on the ports that are granted', () => {
    const holder = identity({
      connect: [
        { name: 'db.test', ports: { first: 5_432, last: 5_432 } },
        { name: '*.testdom', ports: null },
        { name: 'www.test', ports: { first: 443, last: 443 } },
      ],
    });
    const connect = (name: string, port: number | null) => holder.mayConnect(name, port).granted;
    assert.equal(connect('db.test', 5_432), true);
    assert.equal(connect('one.db.test', 5_432), true);
    assert.equal(connect('db.test', 22), false);
    assert.equal(connect('db.test', null), false);
    assert.equal(connect('one.testdom', 9), true);
    assert.equal(connect('testdom', 9), false);
    assert.equal(connect('www.test', null), true);
    assert.equal(connect('www.test', 80), false);
    assert.equal(identity({ connect: [{ name: '*', ports: null }] }).mayConnect('any.name', 1).granted, true);
    assert.equal(says(holder.mayConnect('x.test', 22)), 'no grant of `connect` allows x.test:22 to identity ci');
  });

  it('that serves a domain has the grants of its file, too', () => {
    const holder = identity({ domains: ['www.test'] });
    assert.equal(holder.mayConnect('db.test', 5_432).granted, false);
    const serving = holder.serving('www.test');
    assert.equal(says(serving.mayConnect('db.test', 5_432)), 'connect[0]');
    assert.equal(serving.name, 'identity ci, domain www.test');
  });
});

describe('who asks', () => {
  const entries: readonly IdentityOptions[] = [
    { identity: 'ci', secrets: [new Secret('the secret of ci')] },
    { identity: 'ops', certificate: '*.ops.test' },
    { identity: 'both', secrets: [SECRET], certificate: 'both.test' },
  ];
  const identities = entries.map(resolveIdentity);
  const checked: string[] = [];
  const secrets = {
    check: (candidate: string, list: readonly Secret[]) => {
      checked.push(candidate);
      return Promise.resolve(list.some((secret) => secret.equals(candidate)));
    },
  };
  const deps = { domains: () => TABLE, identities: () => identities, secrets };
  const who = async (identity: string | null, secret: string | null, domain: string | null, names: string[] = []) => {
    const credentials = secret === null ? null : { identity, secret: new Secret(secret) };
    const found = await identify(deps, { credentials, certificateNames: names, domain });
    return typeof found === 'string' ? found : found.name;
  };

  it('is an identity, a domain by its name, or the domain that is named', async () => {
    assert.equal(await who('ci', 'the secret of ci', null), 'identity ci');
    assert.equal(await who('ci', 'the secret of ci', 'www.test'), 'identity ci');
    assert.equal(await who('www.test', SECRET.reveal(), null), 'domain www.test');
    assert.equal(await who('WWW.Test.', SECRET.reveal(), 'api.test'), 'domain www.test');
    assert.equal(await who('*.wild.test', 'the secret of the wildcard', null), 'domain *.wild.test');
    assert.equal(await who('any.wild.test', 'the secret of the wildcard', null), 'domain *.wild.test');
    assert.equal(await who(null, SECRET.reveal(), 'www.test'), 'domain www.test');
  });

  it('is nobody with the secret of another, whatever the name', async () => {
    for (const [identity, secret, domain] of [
      ['ci', SECRET.reveal(), 'www.test'],
      ['www.test', 'the secret of ci', 'www.test'],
      ['ops', SECRET.reveal(), 'www.test'],
      ['nobody', SECRET.reveal(), 'www.test'],
      [null, 'the secret of ci', 'www.test'],
      [null, SECRET.reveal(), null],
      [null, 'the secret of the wildcard', 'own.wild.test'],
    ] as const) {
      assert.equal(await who(identity, secret, domain), 'secret-wrong', `${identity} ${domain}`);
    }
    assert.equal(await who(null, null, 'www.test'), 'secret-missing');
  });

  it('is each identity that a proven certificate fits, a wildcard in it included', async () => {
    assert.equal(await who(null, null, null, ['a.ops.test']), 'identity ops');
    assert.equal(await who(null, null, null, ['*.ops.test', 'both.test']), 'identity ops, identity both');
    assert.equal(await who(null, null, null, ['*.test']), 'identity both');
    assert.equal(await who('ci', 'the secret of ci', null, ['a.ops.test']), 'identity ci, identity ops');
    for (const name of ['ops.test', 'a.b.ops.test', 'x.test'])
      assert.equal(await who(null, null, null, [name]), 'secret-missing');
  });

  it('costs one check of a secret, whoever it is and also where there is nobody', async () => {
    for (const [identity, domain] of [
      ['ci', null],
      ['nobody', null],
      ['www.test', null],
      [null, 'no.such'],
      [null, null],
    ] as const) {
      checked.length = 0;
      await who(identity, 'guess', domain);
      assert.deepEqual(checked, ['guess']);
    }
  });
});
