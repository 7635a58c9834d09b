import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Resolver } from '../../src/agent/resolver.ts';
import type { BackdialError } from '../../src/core/errors.ts';
import { answering, type DnsAnswer, type DnsServer, startDnsServer } from '../support/dns-server.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { eventually, within } from '../support/within.ts';

type Answer = readonly string[] | string;

/** A resolver whose look-ups give the answers in turn (a string is an error's code), the last one for ever. */
function startResolver(answers: readonly Answer[]) {
  let asked = 0;
  const changes: string[] = [];
  const failures: Array<{ error: BackdialError; attempt: number; retryInMs: number }> = [];
  const resolver = new Resolver({
    resolveInterval: { leastMs: 1, mostMs: 10 },
    backoff: { baseMs: 5, capMs: 10, random: () => 0.999 },
    lookup: () => {
      const answer = answers[Math.min(asked, answers.length - 1)] ?? 'ENOTFOUND';
      asked += 1;
      return answering(answer);
    },
  });
  const listener = {
    addressesOnChange: (addresses: readonly string[]) => void changes.push(addresses.join(' ')),
    lookupOnFail: (error: BackdialError, attempt: number, retryInMs: number) =>
      void failures.push({ error, attempt, retryInMs }),
  };
  return { resolver, listener, changes, failures, asked: () => asked };
}

describe('a name is resolved continuously', () => {
  test('each change of the addresses is told, once', async () => {
    const run = startResolver([
      ['10.0.0.1'],
      ['10.0.0.1'],
      ['10.0.0.2', '10.0.0.1'],
      ['10.0.0.1', '10.0.0.2'],
      ['::1'],
    ]);
    const stop = run.resolver.watch('www.test', run.listener);
    await eventually('seven look-ups', () => run.asked() >= 7);
    stop();
    assert.deepEqual(run.changes, ['10.0.0.1', '10.0.0.1 10.0.0.2', '::1']);
    assert.deepEqual(run.failures, []);
  });

  test('of very many names some are looked up at a time, each in its turn; one without an answer holds up no other', async (t) => {
    const underWay = new Map<string, (addresses: readonly string[]) => void>();
    const begun: string[] = [];
    const resolver = new Resolver({
      resolveInterval: { leastMs: 60_000, mostMs: 60_000 },
      backoff: {},
      lookup: (host) => {
        begun.push(host);
        const { promise, resolve } = Promise.withResolvers<readonly string[]>();
        underWay.set(host, resolve);
        return { addresses: promise, records: answering([]).records };
      },
    });
    const found: string[] = [];
    const names = Array.from({ length: 100 }, (_, i) => `d${i}.test`);
    const stops = names.map((name) =>
      resolver.watch(name, { addressesOnChange: () => void found.push(name), lookupOnFail: () => {} }),
    );
    t.after(() => {
      for (const stop of stops) stop();
    });
    // Nobody wants to know it any more when its turn comes.
    stops[50]?.();
    await eventually('the first are looked up', () => begun.length >= 16);
    assert.equal(begun.length, 16);
    for (let left = 98; left > 0; left -= 1) {
      const [host, answer] = [...underWay].find(([name]) => name !== 'd0.test') ?? assert.fail('none is under way');
      underWay.delete(host);
      answer(['10.0.0.1']);
      const next = Math.min(16, left);
      await eventually('the next is looked up', () => underWay.size === next);
    }
    assert.deepEqual(
      begun,
      names.filter((name) => name !== 'd50.test'),
    );
    await eventually('all but one are found', () => found.length === 98);
  });

  test('of very many addresses some are dialled, the same each time', async () => {
    const many = Array.from({ length: 4_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
    const run = startResolver([many, many.toReversed()]);
    const stop = run.resolver.watch('www.test', run.listener);
    await eventually('three look-ups', () => run.asked() >= 3);
    stop();
    assert.deepEqual(
      run.changes.map((each) => each.split(' ').length),
      [64],
    );
  });

  test('one kind that the DNS does not answer for is kept; where it answers for none, what the system knows is all', async () => {
    const both = ['10.0.0.1', '2001:db8::1'];
    const answers = [
      { addresses: both, unanswered: [] },
      { addresses: ['10.0.0.1'], unanswered: [6] },
      { addresses: ['10.0.0.1'], unanswered: [4, 6] },
    ];
    const { promise: asked, resolve: wasAsked } = Promise.withResolvers<void>();
    const resolver = new Resolver({
      resolveInterval: { leastMs: 1, mostMs: 1 },
      backoff: {},
      lookup: () => {
        const { addresses, unanswered } = answers.shift() ?? { addresses: both, unanswered: [] };
        if (answers.length === 0) wasAsked();
        return {
          addresses: Promise.resolve(addresses),
          records: Promise.resolve({ ttlMs: 0, unanswered: new Set(unanswered) }),
        };
      },
    });
    const changes: string[] = [];
    const { promise: back, resolve: isBack } = Promise.withResolvers<void>();
    const addressesOnChange = (addresses: readonly string[]): void => {
      if (changes.push(addresses.join(' ')) === 3) isBack();
    };
    const stop = resolver.watch('www.test', { addressesOnChange, lookupOnFail: () => {} });
    await within('all answers', asked);
    await within('the other kind is back', back);
    stop();
    assert.deepEqual(changes.slice(0, 3), ['10.0.0.1 2001:db8::1', '10.0.0.1', '10.0.0.1 2001:db8::1']);
  });

  test('what the DNS says beside the addresses is waited for once in a look-up', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const [second, third] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const both = ['10.0.0.1', '2001:db8::1'];
    let asked = 0;
    const resolver = new Resolver({
      resolveInterval: { leastMs: 1, mostMs: 1 },
      backoff: {},
      lookup: () => {
        asked += 1;
        if (asked === 3) third.resolve();
        if (asked !== 2) return answering(both);
        second.resolve();
        // One kind is missing, and nobody says why: that is asked for first, and how long the answer counts after it.
        return { addresses: Promise.resolve(both.slice(0, 1)), records: new Promise(() => {}) };
      },
    });
    const stop = resolver.watch('www.test', { addressesOnChange: () => {}, lookupOnFail: () => {} });
    await second.promise;
    await new Promise(setImmediate);
    t.mock.timers.tick(5_000);
    await third.promise;
    stop();
  });

  test('a temporary failure keeps the addresses, a definite one takes them away', async () => {
    const run = startResolver([['10.0.0.1'], 'EAI_AGAIN', 'ESERVFAIL', 'ETIMEOUT', 'ENOTFOUND', ['10.0.0.2']]);
    const stop = run.resolver.watch('www.test', run.listener);
    await eventually('the name is back', () => run.changes.at(-1) === '10.0.0.2');
    stop();
    assert.deepEqual(run.changes, ['10.0.0.1', '', '10.0.0.2']);
    assert.equal(run.failures.length, 1);
    assert.equal(run.failures[0]?.error.code, 'server-unresolved');
    assert.match(run.failures[0]?.error.message ?? '', /www\.test \(ENOTFOUND\)/);
  });

  test('a name that never resolved is asked for again and again, with back-off', async () => {
    const run = startResolver(['EAI_AGAIN']);
    const stop = run.resolver.watch('www.test', run.listener);
    await eventually('four failures', () => run.failures.length >= 4);
    stop();
    assert.deepEqual(run.changes, []);
    assert.deepEqual(
      run.failures.slice(0, 4).map(({ attempt, retryInMs }) => [attempt, retryInMs]),
      [
        [1, 4],
        [2, 9],
        [3, 9],
        [4, 9],
      ],
    );
  });

  test('two that watch one name share its look-ups; the last to leave ends them', async () => {
    const run = startResolver([['10.0.0.1']]);
    const stops = [run.resolver.watch('www.test', run.listener), run.resolver.watch('www.test', run.listener)];
    const other = startResolver([]);
    stops.push(run.resolver.watch('www.test', other.listener));
    await eventually('both know', () => run.changes.length > 0 && other.changes.length > 0);
    for (const stop of stops) stop();
    const asked = run.asked();
    const beside = startResolver([['10.0.0.1']]);
    const stop = beside.resolver.watch('www.test', beside.listener);
    await eventually('look-ups of another resolver', () => beside.asked() >= 5);
    stop();
    assert.ok(run.asked() <= asked + 1);
  });

  test('an IP address is its own answer', () => {
    const run = startResolver([]);
    run.resolver.watch('2001:db8::1', run.listener);
    assert.deepEqual(run.changes, ['2001:db8::1']);
    assert.equal(run.asked(), 0);
  });
});

describe('an answer counts', () => {
  /** How long after a look-up whose records have this TTL the next one is made, ms. */
  async function waitAfter(ttlMs: number): Promise<number> {
    const asked: number[] = [];
    const resolver = new Resolver({
      resolveInterval: { leastMs: 150, mostMs: 300 },
      backoff: { baseMs: 5, capMs: 10, random: () => 0.999 },
      lookup() {
        asked.push(performance.now());
        return { addresses: Promise.resolve(['10.0.0.1']), records: Promise.resolve({ ttlMs, unanswered: new Set() }) };
      },
    });
    const stop = resolver.watch('www.test', { addressesOnChange: () => {}, lookupOnFail: () => {} });
    await eventually('the second look-up', () => asked.length > 1);
    stop();
    return (asked[1] ?? 0) - (asked[0] ?? 0);
  }

  test('for a least time, whatever its TTL', async () => assert.ok((await waitAfter(0)) > 145));
  test('for a most time, whatever its TTL', async () => assert.ok((await waitAfter(86_400_000)) > 290));
});

describe('a name of the DNS', () => {
  /** Resolves `www.test` through a name server, answers counting for 10 ms to 10 s. */
  async function withName(body: (dns: DnsServer, changes: readonly string[]) => Promise<void>): Promise<void> {
    const dns = await startDnsServer();
    const resolver = new Resolver({
      resolveInterval: { leastMs: 10, mostMs: 10_000 },
      backoff: { baseMs: 5, capMs: 10, random: () => 0.999 },
      lookup: dns.lookup,
    });
    const changes: string[] = [];
    const stop = resolver.watch('www.test', {
      addressesOnChange: (addresses) => void changes.push(addresses.join(' ')),
      lookupOnFail: () => {},
    });
    try {
      await body(dns, changes);
    } finally {
      stop();
      await dns.close();
    }
  }

  const untilAskedAgain = (dns: DnsServer) => {
    const before = dns.asked;
    // Both ask: what stands for getaddrinfo, and who wants to know the TTL.
    return eventually('two more look-ups', () => dns.asked >= before + 4);
  };

  test(
    'is asked for again when its TTL is over, within bounds',
    undisturbed(() =>
      withName(async (dns, changes) => {
        dns.names.set('www.test', { a: ['10.0.0.1'], aaaa: [], ttl: 1 });
        await eventually('its address', () => changes.length > 0);
        const [known, since] = [dns.asked, performance.now()];
        dns.names.set('www.test', { a: ['10.0.0.2'], aaaa: [], ttl: 3_600 });
        await eventually('its other address', () => changes.length > 1);
        const took = performance.now() - since;
        assert.ok(took > 500, `${took} ms`);
        assert.ok(dns.asked - known <= 3, `${dns.asked - known} questions`);
      }),
    ),
  );

  test('has addresses of both kinds; one kind whose question fails for a while is kept, one that is gone is not', () =>
    withName(async (dns, changes) => {
      const name = { a: ['10.0.0.1'] as DnsAnswer, aaaa: ['2001:db8::1'] as DnsAnswer, ttl: 0 };
      dns.names.set('www.test', name);
      await eventually('both', () => changes.at(-1) === '10.0.0.1 2001:db8::1');
      name.aaaa = 'servfail';
      await untilAskedAgain(dns);
      name.aaaa = ['2001:db8::1'];
      name.a = 'servfail';
      await untilAskedAgain(dns);
      name.aaaa = 'servfail';
      await untilAskedAgain(dns);
      assert.deepEqual(changes, ['10.0.0.1 2001:db8::1']);
      name.a = ['10.0.0.1', '10.0.0.2'];
      await eventually('another one', () => changes.at(-1) === '10.0.0.1 10.0.0.2 2001:db8::1');
      name.aaaa = [];
      await eventually('one kind is gone', () => changes.at(-1) === '10.0.0.1 10.0.0.2');
      name.a = 'nxdomain';
      name.aaaa = 'nxdomain';
      await eventually('the name is gone', () => changes.at(-1) === '');
      name.a = ['10.0.0.3'];
      await eventually('it is back', () => changes.at(-1) === '10.0.0.3');
    }));

  test('keeps its addresses while the name server is silent', () =>
    withName(async (dns, changes) => {
      dns.names.set('www.test', { a: ['10.0.0.1'], aaaa: [], ttl: 0 });
      await eventually('its address', () => changes.length > 0);
      dns.names.set('www.test', { a: 'silent', aaaa: 'silent', ttl: 0 });
      await untilAskedAgain(dns);
      assert.deepEqual(changes, ['10.0.0.1']);
      dns.names.set('www.test', { a: ['10.0.0.2'], aaaa: [], ttl: 0 });
      await eventually('its other address', () => changes.at(-1) === '10.0.0.2');
    }));
});
