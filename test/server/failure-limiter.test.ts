import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FailureLimiter } from '../../src/server/failure-limiter.ts';

/** Takes attempts until one is refused; how many were to be had. */
function exhaust(limiter: FailureLimiter, address: string | null, nowMs: number): number {
  for (let count = 0; count < 1_000; count += 1) if (limiter.take(address, nowMs) > 0) return count;
  return assert.fail('without end');
}

describe('failed logins', () => {
  it('are ten for nothing, then one more every 6 s, and never more than ten at once', () => {
    const limiter = new FailureLimiter();
    assert.equal(exhaust(limiter, '192.0.2.1', 0), 10);
    assert.equal(limiter.take('192.0.2.1', 0), 6_000);
    assert.equal(limiter.take('192.0.2.1', 5_999), 1);
    assert.equal(limiter.take('192.0.2.1', 6_000), 0);
    assert.equal(limiter.take('192.0.2.1', 6_000), 6_000);
    assert.equal(exhaust(limiter, '192.0.2.1', 6_000 + 3 * 6_000), 3);
    assert.equal(exhaust(limiter, '192.0.2.1', 86_400_000), 10);
  });

  it('may be asked about without an attempt', () => {
    const limiter = new FailureLimiter();
    for (let i = 0; i < 20; i += 1) assert.equal(limiter.waitMs('192.0.2.1', 0), 0);
    assert.equal(exhaust(limiter, '192.0.2.1', 0), 10);
    assert.equal(limiter.waitMs('192.0.2.1', 1_000), 5_000);
    assert.equal(limiter.waitMs('192.0.2.2', 1_000), 0);
  });

  it('that came at the same time are made up for, up to twice as many as cost nothing', () => {
    const limiter = new FailureLimiter();
    for (let i = 0; i < 300; i += 1) assert.equal(limiter.waitMs('192.0.2.1', 0), 0);
    for (let i = 0; i < 15; i += 1) limiter.fail('192.0.2.1', 0);
    assert.equal(limiter.waitMs('192.0.2.1', 0), 36_000);
    for (let i = 0; i < 300; i += 1) limiter.fail('192.0.2.1', 0);
    assert.equal(limiter.waitMs('192.0.2.1', 0), 66_000);
    assert.ok(limiter.take('192.0.2.1', 65_999) > 0);
    assert.equal(limiter.take('192.0.2.1', 66_000), 0);
  });

  it('are not put off by being refused', () => {
    const limiter = new FailureLimiter();
    exhaust(limiter, '192.0.2.1', 0);
    for (let nowMs = 0; nowMs < 6_000; nowMs += 10) assert.ok(limiter.take('192.0.2.1', nowMs) > 0);
    assert.equal(limiter.take('192.0.2.1', 6_000), 0);
  });

  it('of one address are nothing to others', () => {
    const limiter = new FailureLimiter();
    exhaust(limiter, '192.0.2.1', 0);
    assert.equal(exhaust(limiter, '192.0.2.2', 0), 10);
    assert.equal(exhaust(limiter, null, 0), 10);
  });

  it('count for the whole /64 of an IPv6 address, in whatever spelling', () => {
    const limiter = new FailureLimiter();
    assert.equal(exhaust(limiter, '2001:db8:0:1::1', 0), 10);
    for (const address of ['2001:db8:0:1::2', '2001:DB8::1:ffff:ffff:ffff:ffff', '2001:0db8:0000:0001:0:0:0:3']) {
      assert.ok(limiter.take(address, 0) > 0, address);
    }
    assert.equal(limiter.take('2001:db8:0:2::1', 0), 0);
    assert.equal(exhaust(limiter, 'fe80::1%eth0', 0), 10);
  });

  it('are forgotten when the attempt was none', () => {
    const limiter = new FailureLimiter();
    for (let i = 0; i < 100; i += 1) {
      assert.equal(limiter.take('192.0.2.1', 0), 0);
      limiter.giveBack('192.0.2.1');
    }
    assert.equal(limiter.size, 0);
    exhaust(limiter, '192.0.2.1', 0);
    limiter.giveBack('192.0.2.1');
    assert.equal(exhaust(limiter, '192.0.2.1', 0), 1);
    limiter.giveBack('203.0.113.1');
    assert.equal(limiter.size, 1);
  });

  it('are remembered of 10,000 addresses, the last to fail', () => {
    const limiter = new FailureLimiter();
    exhaust(limiter, 'old', 0);
    exhaust(limiter, 'fresh', 0);
    for (let i = 0; i < 9_999; i += 1) {
      limiter.take(`10.0.${i >> 8}.${i & 255}`, 0);
      if (i === 5_000) assert.equal(limiter.take('fresh', 6_000), 0);
    }
    assert.equal(limiter.size, 10_000);
    assert.ok(limiter.take('fresh', 6_000) > 0);
    assert.equal(limiter.take('old', 0), 0);
  });
});
