import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { proxyHeader, visitorHeader } from '../../src/net/proxy-protocol.ts';

const V4 = { address: '203.0.113.7', port: 51_442 };
const V4_HERE = { address: '0.0.0.0', port: 443 };
const V6 = { address: '2001:db8::7', port: 1 };
const V6_HERE = { address: '::', port: 65_535 };
const SIGNATURE = '0d0a0d0a000d0a515549540a';

describe('a PROXY header', () => {
  test('of version 1 is a line that names both ends', () => {
    assert.equal(String(proxyHeader(1, V4, V4_HERE)), 'PROXY TCP4 203.0.113.7 0.0.0.0 51442 443\r\n');
    assert.equal(String(proxyHeader(1, V6, V6_HERE)), 'PROXY TCP6 2001:db8::7 :: 1 65535\r\n');
  });

  test('of version 2 has signature, command, family, length and both ends', () => {
    assert.equal(proxyHeader(2, V4, V4_HERE).toString('hex'), `${SIGNATURE}2111000ccb00710700000000c8f201bb`);
    const ends = `20010db8000000000000000000000007${'00'.repeat(16)}0001ffff`;
    assert.equal(proxyHeader(2, V6, V6_HERE).toString('hex'), `${SIGNATURE}21210024${ends}`);
  });

  const forms: readonly (readonly [text: string, hex: string])[] = [
    ['::', '00'.repeat(16)],
    ['::1', `${'00'.repeat(15)}01`],
    ['1::', `0001${'00'.repeat(14)}`],
    ['fe80::1:2%eth0', 'fe80000000000000'.padEnd(24, '0').concat('00010002')],
    ['2001:db8:1:2:3:4:5:6', '20010db8000100020003000400050006'],
    ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221'],
    ['::255.1.0.16', `${'00'.repeat(12)}ff010010`],
  ];
  for (const [address, hex] of forms) {
    test(`${address} is ${hex}`, () => {
      assert.equal(proxyHeader(2, { address, port: 1 }, V6_HERE).subarray(16, 32).toString('hex'), hex);
    });
  }

  for (const [what, source, destination] of [
    ['an unknown visitor', null, V4_HERE],
    ['ends of two families', V4, V6_HERE],
    ['something that is no address', { address: 'unix', port: 0 }, V4_HERE],
    ['an address that would be another field', { address: '1.2.3.4 5.6.7.8', port: 1 }, V4_HERE],
  ] as const) {
    test(`says of ${what} that the ends are not known`, () => {
      assert.equal(String(proxyHeader(1, source, destination)), 'PROXY UNKNOWN\r\n');
      assert.equal(proxyHeader(2, source, destination).toString('hex'), `${SIGNATURE}20000000`);
    });
  }
});

describe('the header for a visitor', () => {
  const line = (ends: Parameters<typeof visitorHeader>[1]) => String(visitorHeader(1, ends)).trimEnd();

  test('names both ends, in the family of the visitor', () => {
    const at = { visitor: '203.0.113.7:51442', arrivedAt: '192.0.2.1:8443' };
    assert.equal(line(at), 'PROXY TCP4 203.0.113.7 192.0.2.1 51442 8443');
    const six = { visitor: '[2001:db8::7]:1', arrivedAt: '[2001:db8::1]:443' };
    assert.equal(line(six), 'PROXY TCP6 2001:db8::7 2001:db8::1 1 443');
  });

  test("leaves this machine's name of a link out of a link-local address, which no receiver takes", () => {
    const at = { visitor: '[fe80::7%eth0]:1', arrivedAt: '[fe80::1%eth0]:443' };
    assert.equal(line(at), 'PROXY TCP6 fe80::7 fe80::1 1 443');
  });

  test('leaves at zero what the visitor came to where that is not known, but for its port', () => {
    assert.equal(line({ visitor: '203.0.113.7:1', arrivedAt: null }), 'PROXY TCP4 203.0.113.7 0.0.0.0 1 443');
    assert.equal(
      line({ visitor: '203.0.113.7:1', arrivedAt: null, port: 5432 }),
      'PROXY TCP4 203.0.113.7 0.0.0.0 1 5432',
    );
    assert.equal(line({ visitor: '[2001:db8::7]:1', arrivedAt: '192.0.2.1:8443' }), 'PROXY TCP6 2001:db8::7 :: 1 8443');
  });

  test('says nothing of a visitor without an address', () => {
    assert.equal(line({ visitor: 'unix', arrivedAt: 'unix' }), 'PROXY UNKNOWN');
    assert.equal(line({ visitor: null, arrivedAt: '192.0.2.1:8443' }), 'PROXY UNKNOWN');
  });
});
