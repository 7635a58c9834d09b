import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { DomainTable } from '../../src/server/domain-table.ts';
import { FailureLimiter } from '../../src/server/failure-limiter.ts';
import type { CredentialOptions, IdentityOptions } from '../../src/server/options.ts';
import { ProxyUsers } from '../../src/server/proxy-users.ts';
import { resolveIdentity } from '../../src/server/resolve-grants.ts';
import type { CheckOptions } from '../../src/server/secret-check.ts';

/** `checked`: gets what is compared with secrets; `from`: of whom it was. */
function users(
  credentials: readonly CredentialOptions[],
  grants: readonly IdentityOptions[] = [],
  checked: string[] = [],
  from = new Set<unknown>(),
): ProxyUsers {
  const table = new DomainTable([]);
  const secrets = {
    async check(text: string, list: readonly Secret[], about?: CheckOptions) {
      checked.push(text);
      from.add(about?.from);
      return list.some((each) => each.equals(text));
    },
  };
  return new ProxyUsers({
    options: { proxy: { listen: [], credentials }, grants: grants.map(resolveIdentity) },
    domains: () => table,
    secrets,
    logins: { secrets, limiter: new FailureLimiter() },
  });
}

const CI = { identity: 'ci', secrets: [new Secret('the secret of ci')] };
const basic = (login: string) => [`Basic ${Buffer.from(login).toString('base64')}`];

async function outcome(proxy: ProxyUsers, remote: string, authorizations: string[] = []): Promise<string> {
  const user = await proxy.logIn(remote, authorizations);
  return 'error' in user ? user.error.code : 'in';
}

test('a proxy without credentials is for its own machine, however its addresses are written', async () => {
  const proxy = users([]);
  for (const remote of ['127.0.0.1:1', '127.8.8.8:1', '[::1]:1', 'unix'])
    assert.equal(await outcome(proxy, remote), 'in');
  for (const remote of ['192.0.2.1:1', '[2001:db8::1]:1', '10.0.0.1:1', '[fe80::1%eth0]:1']) {
    assert.equal(await outcome(proxy, remote), 'proxy-local', remote);
  }
});

test('a proxy with credentials asks everyone for them, and slows down guesses', async () => {
  const proxy = users([{ login: 'user', password: new Secret('password') }]);
  assert.equal(await outcome(proxy, '127.0.0.1:1'), 'credentials-missing');
  assert.equal(await outcome(proxy, '192.0.2.1:1', basic('user:password')), 'in');
  for (let i = 0; i < 10; i += 1)
    assert.equal(await outcome(proxy, '192.0.2.2:1', basic(`user:${i}`)), 'credentials-wrong');
  assert.equal(await outcome(proxy, '192.0.2.2:1', basic('user:password')), 'credentials-limit');
});

test('guesses at the secret of an identity are slowed down like those at a password, and do not count twice', async () => {
  const proxy = users([{ login: 'user', password: new Secret('password') }], [CI]);
  const [right, wrong] = [basic('ci:the secret of ci'), basic('ci:guess')];
  for (let i = 0; i < 20; i += 1) assert.equal(await outcome(proxy, '192.0.2.1:1', right), 'in');
  for (let i = 0; i < 10; i += 1) assert.equal(await outcome(proxy, '192.0.2.2:1', wrong), 'credentials-wrong');
  assert.equal(await outcome(proxy, '192.0.2.2:1', right), 'credentials-limit');
  assert.equal(await outcome(proxy, '192.0.2.1:1', right), 'in');
});

test('guesses at the secret of an identity are counted also where the proxy asks for no login', async () => {
  const proxy = users([], [CI]);
  const identityOf = async (remote: string, authorizations: string[]) => {
    const user = await proxy.logIn(remote, authorizations);
    return 'error' in user ? user.error.code : user.holder === null ? 'nobody' : 'ci';
  };
  for (let i = 0; i < 10; i += 1) assert.equal(await identityOf('127.0.0.1:1', basic(`ci:${i}`)), 'nobody');
  assert.equal(await identityOf('127.0.0.1:1', basic('ci:the secret of ci')), 'nobody');
  assert.equal(await identityOf('127.0.0.2:1', basic('ci:the secret of ci')), 'ci');
});

test('guesses at the front door are counted by address, and the eleventh is not even compared', async () => {
  const checked: string[] = [];
  const from = new Set<unknown>();
  const proxy = users([], [CI], checked, from);
  const identify = async (remote: string, login: string) => {
    const shown = proxy.shown(basic(login), [], 'www.test');
    assert.ok(shown);
    const found = await proxy.identifyAt(remote, shown);
    return typeof found === 'string' ? found : 'ci';
  };
  for (let i = 0; i < 20; i += 1) assert.equal(await identify('192.0.2.1:1', 'ci:the secret of ci'), 'ci');
  for (let i = 0; i < 10; i += 1) assert.equal(await identify('192.0.2.1:1', `ci:${i}`), 'secret-wrong');
  const before = checked.length;
  assert.equal(await identify('192.0.2.1:1', 'ci:the secret of ci'), 'credentials-limit');
  assert.equal(checked.length, before);
  assert.equal(await identify('192.0.2.2:1', 'ci:the secret of ci'), 'ci');
  assert.deepEqual([...from], ['192.0.2.1', '192.0.2.2'], 'they take turns by address');
});

test('any number of right secrets from one address at once is none too many', async () => {
  for (const credentials of [[], [{ login: 'user', password: new Secret('password') }]]) {
    const proxy = users(credentials, [CI]);
    const shown = proxy.shown(basic('ci:the secret of ci'), [], 'www.test') ?? assert.fail();
    const asked = Array.from({ length: 50 }, () => proxy.identifyAt('192.0.2.1:1', shown));
    for (const found of await Promise.all(asked)) assert.notEqual(typeof found, 'string');
    const came = Array.from({ length: 50 }, () => outcome(proxy, '127.0.0.1:1', basic('ci:the secret of ci')));
    assert.deepEqual([...new Set(await Promise.all(came))], ['in']);
  }
});

test('guesses at the secret of an identity at once are no more than one after the other where logins are counted', async () => {
  const checked: string[] = [];
  const proxy = users([{ login: 'user', password: new Secret('password') }], [CI], checked);
  const guess = (n: number) => outcome(proxy, '192.0.2.2:1', basic(`ci:guess ${n}`));
  const seen = await Promise.all(Array.from({ length: 50 }, (_, n) => guess(n)));
  assert.equal(seen.filter((each) => each === 'credentials-wrong').length, 10);
  const before = checked.length;
  assert.equal(await guess(50), 'credentials-limit');
  assert.equal(checked.length, before);
});

test('who shows no secret guesses none: it is neither counted nor limited', async () => {
  const proxy = users([], [CI]);
  const nothing = { credentials: null, chain: [], host: 'www.test' };
  for (let i = 0; i < 20; i += 1) assert.equal(await proxy.identifyAt('192.0.2.1:1', nothing), 'secret-missing');
  const right = proxy.shown(basic('ci:the secret of ci'), [], 'www.test') ?? assert.fail();
  assert.notEqual(typeof (await proxy.identifyAt('192.0.2.1:1', right)), 'string');
  const wrong = proxy.shown(basic('ci:guess'), [], 'www.test') ?? assert.fail();
  for (let i = 0; i < 10; i += 1) await proxy.identifyAt('192.0.2.1:1', wrong);
  assert.equal(await proxy.identifyAt('192.0.2.1:1', nothing), 'secret-missing');
});

test('many guesses at the front door at once are made up for, and being refused puts nobody off', async (context) => {
  let nowMs = 0;
  context.mock.method(performance, 'now', () => nowMs);
  const checked: string[] = [];
  const proxy = users([], [CI], checked);
  const guess = (n: number) =>
    proxy.identifyAt('192.0.2.1:1', proxy.shown(basic(`ci:guess ${n}`), [], 'www.test') ?? assert.fail());
  const guessAll = () => Promise.all(Array.from({ length: 100 }, (_, n) => guess(n)));
  await guessAll();
  assert.equal(checked.length, 100);
  for (nowMs = 1_000; nowMs < 65_000; nowMs += 1_000) await guessAll();
  assert.equal(checked.length, 100);
  nowMs = 67_000;
  assert.equal(await guess(0), 'secret-wrong');
});
