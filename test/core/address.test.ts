import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatAddress, formatPeer, parseHostPort, peerAddress, plainAddress } from '../../src/core/address.ts';

describe('addresses', () => {
  it('are read as host and port, IPv6 in brackets', () => {
    assert.deepEqual(parseHostPort('0.0.0.0:443'), { host: '0.0.0.0', port: 443 });
    assert.deepEqual(parseHostPort('[::]:443'), { host: '::', port: 443 });
    assert.deepEqual(parseHostPort('[fe80::1%eth0]:1'), { host: 'fe80::1%eth0', port: 1 });
    assert.deepEqual(parseHostPort('[fe80::1%br-lan.100]:1'), { host: 'fe80::1%br-lan.100', port: 1 });
    assert.deepEqual(parseHostPort('[fe80::1%2]:1'), { host: 'fe80::1%2', port: 1 });
    assert.deepEqual(parseHostPort('localhost:0'), { host: 'localhost', port: 0 });
    assert.deepEqual(parseHostPort('3000', '127.0.0.1'), { host: '127.0.0.1', port: 3000 });
    assert.deepEqual(parseHostPort('3000', '::1'), { host: '::1', port: 3000 });
  });

  it('are refused when they are neither', () => {
    const bad = [
      '3000',
      ':3000',
      'a',
      'a:',
      'a:65536',
      'a:123456',
      'a:-1',
      'a:1 ',
      ' a:1',
      '::1:443',
      '[::1]',
      '[::1::]:1',
      '[1.2.3.4:5]:1',
      '[fe80::1%]:1',
      '[fe80::1%a%b]:1',
      '[fe80::1%a/b]:1',
      'a/b:1',
      'u@h:1',
    ];
    for (const text of bad) assert.equal(parseHostPort(text), null, text);
    assert.equal(parseHostPort('65536', 'a'), null);
  });

  it('are written as they are read', () => {
    for (const text of ['1.2.3.4:5', '[::1]:5', '[fe80::1%eth0]:5', 'name:5']) {
      const address = parseHostPort(text);
      assert.ok(address !== null);
      assert.equal(formatAddress(address), text);
    }
    assert.equal(formatAddress({ path: '/run/x.sock' }), 'unix:/run/x.sock');
  });

  it('name peers without the IPv4-mapped prefix', () => {
    assert.equal(formatPeer('::ffff:192.0.2.1', 7), '192.0.2.1:7');
    assert.equal(formatPeer('2001:db8::1', 7), '[2001:db8::1]:7');
    assert.equal(formatPeer(undefined, undefined), 'unix');
    assert.equal(plainAddress('::ffff:c000:201'), '::ffff:c000:201');
  });

  it('are found again in what a peer is named', () => {
    for (const address of ['192.0.2.1', '2001:db8::1', 'fe80::1%eth0']) {
      assert.equal(peerAddress(formatPeer(address, 7)), address);
    }
    assert.equal(peerAddress(formatPeer('::ffff:192.0.2.1', 7)), '192.0.2.1');
    assert.equal(peerAddress(formatPeer(undefined, undefined)), null);
  });
});
