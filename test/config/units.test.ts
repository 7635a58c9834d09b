import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDuration, parseSize } from '../../src/config/units.ts';

describe('sizes', () => {
  it('take k, M, G as 1000 and kB, MB, GB as 1024', () => {
    const sizes = { '64k': 64_000, '2M': 2e6, '1G': 1e9, '64kB': 65_536, '1MB': 1_048_576, '1GB': 1_073_741_824 };
    for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseSize(text), bytes, text);
  });

  it('have a unit, unless they are 0', () => {
    assert.equal(parseSize(0), 0);
    assert.equal(parseSize('0'), 0);
    const bad = [
      64,
      1,
      -1,
      Number.NaN,
      '64',
      '64KB',
      '64b',
      '64K',
      'kB',
      '-1kB',
      '1.5MB',
      '1 000kB',
      '0x10k',
      ' 1k',
      '1k ',
      '',
      null,
    ];
    for (const value of bad) assert.equal(parseSize(value), null, String(value));
    for (const value of [undefined, true, {}, [], '9999999999999999GB', '1constructor'])
      assert.equal(parseSize(value), null);
  });
});

describe('durations', () => {
  it('take ms, s, m, h, d', () => {
    const durations = { '250ms': 250, '65s': 65_000, '2m': 120_000, '1h': 3_600_000, '1d': 86_400_000, '10 s': 10_000 };
    for (const [text, ms] of Object.entries(durations)) assert.equal(parseDuration(text), ms, text);
  });

  it('have a unit, unless they are 0, and are no longer than a timer can wait', () => {
    assert.equal(parseDuration(0), 0);
    assert.equal(parseDuration('24d'), 24 * 86_400_000);
    for (const value of [65, '65', '65S', '1w', '25d', '1h30m', '-5s', '5kB', null]) {
      assert.equal(parseDuration(value), null, String(value));
    }
  });
});
