import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseNetwork } from '../../src/config/networks.ts';

describe('a network of a file', () => {
  it('is CIDR notation, or an address that means this one host', () => {
    const good = {
      '10.0.0.0/8': '10.0.0.0/8',
      '0.0.0.0/0': '0.0.0.0/0',
      '203.0.113.7': '203.0.113.7/32',
      '203.0.113.7/32': '203.0.113.7/32',
      '2001:DB8::/32': '2001:db8::/32',
      '2001:db8:0:0:0:0:0:1': '2001:db8::1/128',
      '::/0': '::/0',
      '::1': '::1/128',
      '64:ff9b::192.0.2.1': '64:ff9b::c000:201/128',
    };
    for (const [text, meaning] of Object.entries(good)) {
      const network = parseNetwork(text);
      assert.ok(typeof network === 'object', `${text}: ${network}`);
      assert.equal(`${network.address}/${network.prefix}`, meaning);
    }
  });

  it('is IPv4 where it is IPv4-mapped', () => {
    assert.deepEqual(parseNetwork('::ffff:10.0.0.0/104'), { address: '10.0.0.0', prefix: 8 });
    assert.deepEqual(parseNetwork('::ffff:192.0.2.1'), { address: '192.0.2.1', prefix: 32 });
    assert.deepEqual(parseNetwork('::ffff:0:0/96'), { address: '0.0.0.0', prefix: 0 });
    assert.match(String(parseNetwork('::ffff:10.0.0.0/8')), /a prefix of 96 to 128/);
  });

  it('is refused where it is none, also where others would guess', () => {
    const bad: readonly unknown[] = [
      '10/8',
      '10.0/16',
      '010.0.0.1',
      '0x7f.0.0.1',
      '0x7f000001',
      '2130706433',
      '1.2.3.4.5',
      '256.0.0.1',
      '1.2.3.4/',
      '1.2.3.4/08',
      '1.2.3.4/+8',
      '1.2.3.4/8/8',
      '/8',
      '',
      ' 1.2.3.4',
      '1.2.3.4 ',
      '10.0.0.0-10.0.0.9',
      '10.*.*.*',
      '[::1]',
      '::1.2.3.4',
      ':::',
      '1::2::3',
      'fe80::1%eth0',
      'localhost',
      'example.com/8',
      '1.2.3.4:80',
      '１.2.3.4',
      null,
      5,
      true,
      {},
      ['10.0.0.0/8'],
    ];
    for (const value of bad)
      assert.match(String(parseNetwork(value)), /^found .*; allowed: a network such as/, String(value));
    assert.equal(parseNetwork('10.0.0.0/33'), 'found "10.0.0.0/33"; allowed: a prefix of 0 to 32');
    assert.equal(parseNetwork('::/129'), 'found "::/129"; allowed: a prefix of 0 to 128');
  });

  it('is refused with bits behind its prefix, and both things that can be meant are named', () => {
    assert.equal(
      parseNetwork('10.1.2.3/8'),
      'found "10.1.2.3/8"; allowed: "10.0.0.0/8" for the network, "10.1.2.3" for the one host',
    );
    assert.match(
      String(parseNetwork('2001:db8::1/32')),
      /"2001:db8::\/32" for the network, "2001:db8::1" for the one host/,
    );
    assert.match(String(parseNetwork('1.2.3.4/0')), /"0\.0\.0\.0\/0" for the network/);
    assert.match(String(parseNetwork('::ffff:10.1.1.1/104')), /"10\.0\.0\.0\/8" for the network/);
  });
});
