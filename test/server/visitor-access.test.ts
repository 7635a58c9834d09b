import assert from 'node:assert/strict';
import { after, beforeEach, describe, it, type TestContext } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { parseBasic } from '../../src/server/credentials.ts';
import { FailureLimiter } from '../../src/server/failure-limiter.ts';
import type { ClientOptions, DomainOptions } from '../../src/server/options.ts';
import { resolveDomain } from '../../src/server/resolve-options.ts';
import { createSecretChecker, type SecretChecker } from '../../src/server/secret-check.ts';
import { hashSecret } from '../../src/server/sha512-crypt.ts';
import { AccessControl, createDomainAccess } from '../../src/server/visitor-access.ts';
import { recordHashedRounds } from '../support/hashed-rounds.ts';

const SERVER = { maxBodyBytes: 0, transaction: true, unavailableStatus: 404 };
const domain = (clients: ClientOptions, more: Partial<DomainOptions> = {}) =>
  resolveDomain({ name: 'www.example.com', secrets: [], clients, ...more }, SERVER);
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
const credential = (login: string, password: string) => ({ login, password: new Secret(password) });
const PEER = '192.0.2.1:1234';

describe('access to a domain', () => {
  const checkers: SecretChecker[] = [];
  after(() => {
    for (const checker of checkers) checker.close();
  });

  /** Access control with a clock that stands still until it is set. */
  function control(clients: ClientOptions, more: Partial<DomainOptions> = {}) {
    const secrets = createSecretChecker();
    checkers.push(secrets);
    const clock = { now: Date.parse('2024-02-29T12:00:00Z') };
    const checks: string[] = [];
    /** Of whom they were. */
    const from: unknown[] = [];
    const access = createDomainAccess(domain(clients, more), {
      secrets: {
        check(candidate, list, about) {
          checks.push(candidate);
          from.push(about?.from);
          return secrets.check(candidate, list, about);
        },
      },
      limiter: new FailureLimiter(),
      now: () => clock.now,
    });
    const login = async (authorization: string | readonly string[], remote = PEER) => {
      const refusal = await access.login(remote, [authorization].flat());
      return refusal === null ? 'in' : refusal.error.code;
    };
    return { access, clock, checks, from, login };
  }

  it("is everyone's, at any time, where nothing is configured", () => {
    const { access } = control({});
    for (const remote of [PEER, '[2001:db8::1]:1', 'unix']) {
      assert.equal(access.refusal(remote), null);
      assert.ok(access.admitsAgent(remote));
    }
    assert.equal(access.asksLogin, false);
  });

  it('is of the networks alone: any of them', () => {
    const networks = [
      { address: '192.0.2.0', prefix: 24 },
      { address: '2001:db8::', prefix: 32 },
    ];
    const { access } = control({ networks });
    for (const remote of [PEER, '[2001:db8::1]:1']) assert.equal(access.refusal(remote), null, remote);
    for (const remote of ['192.0.3.1:1234', '[2001:db9::1]:1', 'unix', '[::1]:192']) {
      assert.equal(access.refusal(remote), 'network-refused', remote);
    }
    assert.ok(access.admitsAgent('203.0.113.1:1'), 'networks of visitors are nothing to agents');
  });

  it('is for agents of their own networks', () => {
    const { access } = control({}, { networks: [{ address: '192.0.2.1', prefix: 32 }] });
    assert.ok(access.admitsAgent(PEER));
    for (const remote of ['192.0.2.2:1234', '[::1]:1', 'unix']) assert.ok(!access.admitsAgent(remote), remote);
    assert.equal(access.refusal('192.0.2.2:1'), null, 'networks of agents are nothing to visitors');
  });

  it('is within any of the ranges, by the clock of each visit', () => {
    const { access, clock } = control({ ranges: ['mon-fri 08:00-19:00', '2024-03-02'] });
    assert.equal(access.refusal(PEER), null);
    clock.now = Date.parse('2024-02-29T19:00:01Z');
    assert.equal(access.refusal(PEER), 'time-refused');
    clock.now = Date.parse('2024-03-02T03:00:00Z');
    assert.equal(access.refusal(PEER), null);
    clock.now = Date.parse('2024-03-03T03:00:00Z');
    assert.equal(access.refusal(PEER), 'time-refused');
  });

  it('is of who satisfies every list', () => {
    const { access, clock } = control({ networks: [{ address: '192.0.2.1', prefix: 32 }], ranges: ['2024-02-29'] });
    assert.equal(access.refusal('192.0.2.2:1'), 'network-refused');
    assert.equal(access.refusal(PEER), null);
    clock.now += 86_400_000;
    assert.equal(access.refusal(PEER), 'time-refused');
    assert.equal(access.refusal('192.0.2.2:1'), 'network-refused');
  });

  it('is worked out once for each domain', () => {
    const accessControl = new AccessControl({
      secrets: { check: () => Promise.resolve(false) },
      limiter: new FailureLimiter(),
    });
    const one = domain({ ranges: ['mon'] });
    assert.equal(accessControl.of(one), accessControl.of(one));
    assert.notEqual(accessControl.of(one), accessControl.of(domain({ ranges: ['mon'] })));
  });

  describe('with a login', () => {
    /** No attempt is earned while time stands still. */
    beforeEach((t) => void (t as TestContext).mock.method(performance, 'now', () => 1_000));

    const credentials = [
      credential('user1', 'password1'),
      credential('user2', 'pass:with:colons'),
      credential('user3', hashSecret('hashed: naïve ☃', { rounds: 1_000 })),
      credential('user1', 'the old password'),
      credential('naïve', 'påss'),
    ];

    it('is of who shows one of the credentials, plain or hashed; only the first colon splits', async () => {
      const { access, login } = control({ credentials });
      assert.ok(access.asksLogin);
      for (const right of [
        'user1:password1',
        'user1:the old password',
        'user2:pass:with:colons',
        'user3:hashed: naïve ☃',
        'naïve:påss',
      ]) {
        assert.equal(await login(basic(right)), 'in', right);
      }
      for (const wrong of [
        'user1:password2',
        'user2:pass',
        'user1:pass:with:colons',
        ':password1',
        'user1:',
        'USER1:password1',
        `user3:${credentials[2]?.password.reveal()}`,
        '__proto__:x',
      ]) {
        assert.equal(await login(basic(wrong), `203.0.113.${wrong.length}:1`), 'credentials-wrong', wrong);
      }
    });

    it('is asked for, with the banner as realm', async () => {
      const { access } = control({ credentials, banner: 'The "inner" \\circle' });
      const refusal = await access.login(PEER, []);
      assert.equal(refusal?.error.code, 'credentials-missing');
      assert.deepEqual(refusal.headers, [
        'WWW-Authenticate',
        'Basic realm="The \\"inner\\" \\\\circle", charset="UTF-8"',
      ]);
      const byDefault = await control({ credentials }).access.login(PEER, [basic('user1:wrong')]);
      assert.deepEqual(byDefault?.headers, ['WWW-Authenticate', 'Basic realm="www.example.com", charset="UTF-8"']);
    });

    it('needs exactly one Authorization; what is no login is none, and no failure', async () => {
      const { login, checks } = control({ credentials });
      const right = basic('user1:password1');
      const others = [
        'Bearer abc',
        'Basic',
        'Basic ',
        'Basic =',
        'Basic dXNlcjE=',
        'Basic %%%',
        `Basic${right.slice(6)}`,
        `Digest ${right.slice(6)}`,
        `${right}, ${right}`,
        `Basic ${'A'.repeat(600)}`,
        '',
      ];
      for (const authorization of [[right, right], [], ...others]) {
        for (let i = 0; i < 11; i += 1)
          assert.equal(await login(authorization), 'credentials-missing', String(authorization));
      }
      assert.deepEqual(checks, []);
      assert.equal(await login(`bASIC   ${right.slice(6)}`), 'in');
    });

    it('is not judged any more after ten failures from the address: not even the right one, and without hashing', async () => {
      const { access, login, checks } = control({ credentials });
      for (let i = 0; i < 10; i += 1) assert.equal(await login(basic(`user3:wrong ${i}`)), 'credentials-wrong');
      assert.equal(checks.length, 10);
      for (const guess of ['user3:wrong again', 'user1:password1', 'nobody:x']) {
        assert.equal(await login(basic(guess)), 'credentials-limit');
      }
      assert.equal(checks.length, 10);
      const refusal = await access.login(PEER, [basic('user1:password1')]);
      assert.equal(refusal?.error.entry.status, 429);
      assert.match(String(refusal?.headers), /^Retry-After,6$/);
      assert.equal(await login(basic('user1:password1'), '192.0.2.2:1'), 'in');
      assert.equal(await login([]), 'credentials-missing', 'who shows no login is asked for one');
    });

    it('cannot be guessed at faster by asking many times at once', async () => {
      const { login, checks, from } = control({ credentials });
      const guesses = Array.from({ length: 50 }, (_, i) => login(basic(`user3:guess ${i}`)));
      const answers = await Promise.all(guesses);
      assert.equal(answers.filter((answer) => answer === 'credentials-wrong').length, 10);
      assert.equal(checks.length, 10);
      assert.deepEqual(new Set(from), new Set(['192.0.2.1']), 'they take turns with those of other addresses');
    });

    it('is checked once for a browser that asks for many things at once, and never limits it', async () => {
      const { login, checks } = control({ credentials });
      const right = basic('user3:hashed: naïve ☃');
      const answers = await Promise.all(Array.from({ length: 100 }, () => login(right)));
      assert.deepEqual(new Set(answers), new Set(['in']));
      assert.equal(checks.length, 1);
      for (let i = 0; i < 30; i += 1) assert.equal(await login(right), 'in');
    });

    it('that is right takes nothing off the failures of before', async () => {
      const { login } = control({ credentials });
      for (let i = 0; i < 9; i += 1) await login(basic(`user1:wrong ${i}`));
      for (let i = 0; i < 20; i += 1) assert.equal(await login(basic('user1:password1')), 'in');
      assert.equal(await login(basic('user1:wrong')), 'credentials-wrong');
      assert.equal(await login(basic('user1:wrong')), 'credentials-limit');
    });

    it('that nobody has takes as long to refuse as one with a wrong password', async (t) => {
      const slow = [
        credential('slow', hashSecret('x', { rounds: 10_000 })),
        credential('fast', hashSecret('x', { rounds: 1_000 })),
        credential('plain', 'password1'),
      ];
      const { login } = control({ credentials: slow });
      const hashed = recordHashedRounds(t);
      for (const wrong of ['slow:wrong', 'fast:wrong', 'plain:wrong', 'nobody:wrong']) {
        assert.equal(await login(basic(wrong)), 'credentials-wrong');
      }
      assert.deepEqual(hashed, [10_000, 10_000, 10_000, 10_000]);
    });

    it('costs no failure when it could not be checked', async () => {
      const limiter = new FailureLimiter();
      const busy = Object.assign(new Error('busy'), { code: 'x' });
      const access = createDomainAccess(domain({ credentials }), {
        secrets: { check: () => Promise.reject(busy) },
        limiter,
      });
      for (let i = 0; i < 20; i += 1) {
        const refusal = await access.login(PEER, [basic(`user1:${i}`)]);
        assert.equal(refusal?.error.code, 'internal');
      }
      assert.equal(limiter.size, 0);
    });
  });
});

describe('an Authorization field', () => {
  it('is read as RFC 7617 has it', () => {
    assert.deepEqual(parseBasic('Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='), { login: 'Aladdin', password: 'open sesame' });
    assert.deepEqual(parseBasic('Basic dGVzdDoxMjPCow=='), { login: 'test', password: '123£' });
    assert.deepEqual(parseBasic(basic('a:b:c')), { login: 'a', password: 'b:c' });
  });
});
