import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Backoff } from '../../src/core/backoff.ts';

const longest = () => 0.999_999_9;

describe('back-off', () => {
  it('dials at once, then doubles from the base to the cap', () => {
    const backoff = new Backoff({ random: longest });
    const waits = Array.from({ length: 8 }, () => backoff.next());
    assert.deepEqual(waits, [0, 249, 499, 999, 1_999, 3_999, 3_999, 3_999]);
    assert.equal(backoff.attempts, 8);
  });

  it('draws each wait evenly from nothing to its bound', () => {
    for (const share of [0, 0.5]) {
      const backoff = new Backoff({ random: () => share });
      const waits = Array.from({ length: 6 }, () => backoff.next());
      assert.deepEqual(
        waits,
        [0, 250, 500, 1_000, 2_000, 4_000].map((bound) => bound * share),
      );
    }
  });

  it('waits longer only after ten refusals in a row', () => {
    const backoff = new Backoff({ random: longest });
    for (let refusal = 1; refusal < 10; refusal += 1) {
      assert.ok(backoff.next(true) < 4_000);
      assert.equal(backoff.capMs, 4_000);
    }
    assert.equal(backoff.next(true), 29_999);
    assert.equal(backoff.capMs, 30_000);
    assert.ok(backoff.next() < 4_000, 'a failure of another kind is not a refusal');
  });

  it('starts over after a tunnel that lived', () => {
    const backoff = new Backoff({ random: longest });
    for (let refusal = 0; refusal < 12; refusal += 1) backoff.next(true);
    backoff.reset();
    assert.deepEqual([backoff.attempts, backoff.capMs, backoff.next(), backoff.next()], [0, 4_000, 0, 249]);
  });

  it('never grows past its cap, for ever', () => {
    const backoff = new Backoff({ random: longest });
    for (let attempt = 0; attempt < 5_000; attempt += 1) assert.ok(backoff.next() < 4_000);
  });
});
