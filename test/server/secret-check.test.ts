import assert from 'node:assert/strict';
import { Hmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { after, describe, it } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { createSecretChecker, type SecretChecker } from '../../src/server/secret-check.ts';
import { hashSecret } from '../../src/server/sha512-crypt.ts';
import { recordHashedRounds } from '../support/hashed-rounds.ts';

const PLAIN = new Secret('a plain secret of a domain');
const HASHED = 'a hashed secret: naïve ☃';
const HASH = new Secret(hashSecret(HASHED, { rounds: 1_000 }));

/** A hash that nothing fits: to make one of so many rounds takes ten times as long as to look at it. */
function unfittable(rounds: number): Secret {
  return new Secret(`$6$rounds=${rounds}$saltsalt$${'.'.repeat(86)}`);
}

/** What became of the threads of this process that stand behind the event loop so far (proc(5)). */
function niceThreads(): { readonly sleeps: number; readonly awakeMs: number } {
  let [sleeps, awakeMs] = [0, 0];
  for (const thread of readdirSync('/proc/self/task')) {
    if (getPriority(Number(thread)) <= getPriority()) continue;
    const status = readFileSync(`/proc/self/task/${thread}/status`, 'utf8');
    sleeps += Number(/^voluntary_ctxt_switches:\t(\d+)$/m.exec(status)?.[1]);
    // On a core, and waiting for one, ns.
    const [running = 0, waiting = 0] = readFileSync(`/proc/self/task/${thread}/schedstat`, 'utf8')
      .split(' ')
      .map(Number);
    awakeMs += (running + waiting) / 1e6;
  }
  return { sleeps, awakeMs };
}

describe('secret check', () => {
  const checkers: SecretChecker[] = [];
  const checker = (...options: Parameters<typeof createSecretChecker>) => {
    const made = createSecretChecker(...options);
    checkers.push(made);
    return made;
  };
  after(() => {
    for (const each of checkers) each.close();
  });

  it('accepts each secret of a list, plain or hashed, and nothing else', async () => {
    const { check } = checker();
    assert.equal(await check(PLAIN.reveal(), [PLAIN, HASH]), true);
    assert.equal(await check(PLAIN.reveal(), [HASH, PLAIN]), true);
    assert.equal(await check(HASHED, [PLAIN, HASH]), true);
    assert.equal(await check(HASHED, [PLAIN]), false);
    assert.equal(await check(`${HASHED}.`, [PLAIN, HASH]), false);
    assert.equal(await check('', [new Secret('')]), false);
    assert.equal(await check('x'.repeat(129), [new Secret('x'.repeat(129))]), false);
  });

  it('never takes a hash for the secret itself', async () => {
    assert.equal(await checker().check(HASH.reveal(), [HASH]), false);
    assert.equal(await checker().check('$6$broken', [new Secret('$6$broken')]), false);
  });

  it('recalls what is plain or was verified before, and hashes nothing for it', async () => {
    const { check, recalls } = checker();
    assert.equal(recalls(PLAIN.reveal(), [HASH, PLAIN]), true);
    assert.equal(recalls(HASHED, [PLAIN, HASH]), false);
    await check(HASHED, [PLAIN, HASH]);
    assert.equal(recalls(HASHED, [PLAIN, HASH]), true);
    assert.equal(recalls(HASHED, [PLAIN]), false);
    assert.equal(recalls(`${HASHED}.`, [PLAIN, HASH]), false);
    assert.equal(recalls(HASH.reveal(), [HASH]), false);
    assert.equal(recalls(HASHED, []), false);
    assert.equal(recalls('', [new Secret('')]), false);
  });

  it('refuses where there is no domain with as much work as where there is one', async (t) => {
    const slow = unfittable(20_000);
    const { check } = checker({ lists: [[slow], [HASH], [PLAIN]] });
    const hashed = recordHashedRounds(t);
    for (const list of [[], [PLAIN], [HASH], [slow]]) {
      assert.equal(await check('a secret that is wrong', list), false);
    }
    assert.deepEqual(hashed, [20_000, 20_000, 20_000, 20_000]);
  });

  it('lets who is judged again, with a time of its own, not change how long all others take', async () => {
    const { check } = checker();
    await check('a secret that is wrong', [unfittable(20_000)], { refusalRounds: 0 });
    const order: string[] = [];
    const refused = check('a secret that is wrong', []).then(() => order.push('refused'));
    // Nothing is hashed for it.
    await Promise.all([refused, new Promise(setImmediate).then(() => order.push('a turn'))]);
    assert.deepEqual(order, ['refused', 'a turn']);
  });

  it('hashes off the event loop, once for many that ask alike, and never again for what was verified', async (t) => {
    const { check } = checker();
    await check('warm the worker up, please', [HASH]);
    const hash = new Secret(hashSecret(HASHED, { rounds: 10_000 }));
    const hashed = recordHashedRounds(t);
    const answers = await Promise.all(Array.from({ length: 200 }, () => check(HASHED, [hash])));
    assert.ok(answers.every(Boolean));
    assert.deepEqual(hashed, [10_000]);
    const [thread, every] = [process.threadCpuUsage(), process.cpuUsage()];
    await check('a secret that is wrong', [unfittable(100_000)]);
    const cpuOf = ({ user, system }: NodeJS.CpuUsage) => user + system;
    const [mine, all] = [cpuOf(process.threadCpuUsage(thread)), cpuOf(process.cpuUsage(every))];
    assert.ok(mine < all / 2, `the event loop's thread took ${mine} of ${all} us`);
    const order: string[] = [];
    const long = check('a secret that is wrong', [hash]).then(() => order.push('hashed'));
    await Promise.all([long, check(HASHED, [hash]).then(() => order.push('verified before'))]);
    assert.deepEqual(order, ['verified before', 'hashed']);
    assert.equal(await check(HASHED, []), false, 'what was verified for one domain is not believed for another');
  });

  const elsewhere = process.platform === 'linux' ? false : 'threads have priorities of their own on Linux alone';
  it('leaves the core to the event loop: the thread that hashes stands behind it, and sleeps every 512 rounds', {
    skip: elsewhere,
  }, async () => {
    const { check } = checker();
    await check('warm the worker up, please', [HASH]);
    const slow = unfittable(51_200);
    const rests: number[] = [];
    // Whoever is awake late, and tells late that it is over, has slept no longer: what a busy machine adds is looked at again.
    while (rests.length < 10 && !rests.some((ms) => ms < 1)) {
      const [before, start] = [niceThreads(), performance.now()];
      assert.equal(await check('a secret that is wrong', [slow]), false);
      const [after, tookMs] = [niceThreads(), performance.now() - start];
      const slept = after.sleeps - before.sleeps;
      assert.ok(slept >= 100, `it slept ${slept} times in 51,200 rounds`);
      rests.push((tookMs - (after.awakeMs - before.awakeMs)) / slept);
    }
    assert.ok(Math.min(...rests) < 1, `it slept for ${rests} ms each time`);
  });

  it('bounds what may wait, says so, and goes on afterwards', async () => {
    const { check } = checker({ maxWaiting: 2 });
    const asked = ['one wrong secret', 'another wrong secret', 'a third wrong secret'].map((wrong) =>
      check(wrong, [HASH]),
    );
    const results = await Promise.allSettled(asked);
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
      [false, false, 'connection-limit'],
    );
    assert.equal(await check(HASHED, [HASH]), true);
  });

  it('lets a storm from one neighbourhood keep nobody else out, and each wait no longer than a turn', async () => {
    const { check } = checker();
    const done: string[] = [];
    const storm = Array.from({ length: 300 }, (_, n) =>
      check(`wrong secret number ${n}`, [HASH], { from: `2001:db8:1:${n}::1` }).then(() => done.push('wrong')),
    );
    const right = check(HASHED, [HASH], { from: '192.0.2.1' }).then((isRight) => done.push(`right: ${isRight}`));
    const codes = (await Promise.allSettled(storm)).flatMap((end) =>
      end.status === 'rejected' ? [end.reason.code] : [],
    );
    await right;
    assert.deepEqual(new Set(codes), new Set(['connection-limit']));
    assert.equal(codes.length, 201);
    assert.ok(done.indexOf('right: true') <= 4, `${done.indexOf('right: true')} were before it`);
  });

  it('lets a hundred wait unless it is told otherwise', async () => {
    const closing = checker();
    const asked = Array.from({ length: 101 }, (_, n) => closing.check(`wrong secret number ${n}`, [HASH]));
    const results = Promise.allSettled(asked);
    closing.close();
    const codes = (await results).map((result) => (result.status === 'rejected' ? result.reason.code : result.value));
    assert.deepEqual(codes, [...Array(100).fill('internal'), 'connection-limit']);
  });

  it('looks as long for what was verified where there is no hash', (t) => {
    const { recalls } = checker();
    const update = t.mock.method(Hmac.prototype, 'update');
    const looks = [[HASH], [PLAIN], []].map((list) => {
      const before = update.mock.callCount();
      recalls('a secret that is wrong', list);
      return update.mock.callCount() - before;
    });
    assert.deepEqual(looks, [1, 1, 1]);
  });

  it('rejects what waits when it is closed', async () => {
    const closing = checker();
    const waiting = closing.check('some wrong secret', [HASH]);
    closing.close();
    await assert.rejects(waiting, { code: 'internal' });
    await assert.rejects(closing.check(HASHED, [HASH]), { code: 'internal' });
  });
});
