import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NetworkList, networkFault } from '../../src/net/networks.ts';

const net = (cidr: string) => {
  const [address = '', prefix] = cidr.split('/');
  return { address, prefix: Number(prefix) };
};
const list = (...cidrs: string[]) => new NetworkList(cidrs.map(net));

describe('a list of networks', () => {
  it('has the addresses of each, from the first to the last', () => {
    const networks = list('10.0.0.0/8', '192.0.2.128/25', '203.0.113.7/32', '2001:db8::/33', '::1/128');
    const inside = [
      '10.0.0.0',
      '10.255.255.255',
      '192.0.2.128',
      '192.0.2.255',
      '203.0.113.7',
      '2001:db8::',
      '2001:db8:7fff:ffff:ffff:ffff:ffff:ffff',
      '::1',
    ];
    const outside = [
      '9.255.255.255',
      '11.0.0.0',
      '192.0.2.127',
      '192.0.3.0',
      '203.0.113.6',
      '203.0.113.8',
      '2001:db8:8000::',
      '2001:db7:ffff::',
      '::',
      '::2',
    ];
    for (const address of inside) assert.ok(networks.has(address), address);
    for (const address of outside) assert.ok(!networks.has(address), address);
  });

  it('has IPv4-mapped peers where it has the IPv4 address, in whatever spelling', () => {
    const networks = list('10.0.0.0/8');
    for (const address of ['::ffff:10.1.2.3', '::ffff:a01:203', '0:0:0:0:0:ffff:0a01:0203', '::FFFF:10.1.2.3']) {
      assert.ok(networks.has(address), address);
    }
    for (const address of ['::ffff:11.1.2.3', '::10.1.2.3', '::a01:203', '::fffe:10.1.2.3']) {
      assert.ok(!networks.has(address), address);
    }
  });

  it('keeps the families apart: all of one is nothing of the other', () => {
    assert.ok(list('0.0.0.0/0').has('8.8.8.8'));
    assert.ok(!list('0.0.0.0/0').has('2001:db8::1'));
    assert.ok(!list('0.0.0.0/0').has('::'));
    assert.ok(list('::/0').has('2001:db8::1'));
    for (const address of ['8.8.8.8', '::ffff:8.8.8.8', '::ffff:808:808'])
      assert.ok(!list('::/0').has(address), address);
  });

  it('takes no notice of the zone of a link-local peer', () => {
    assert.ok(list('fe80::/10').has('fe80::1%eth0'));
    assert.ok(!list('fe80::/10').has('2001:db8::1%eth0'));
  });

  it('has nothing that is no address, and nothing at all when it is empty', () => {
    for (const address of [null, '', 'unix', 'localhost', '10.1', '10.0.0.1:80', ':']) {
      assert.ok(!list('0.0.0.0/0', '::/0').has(address), String(address));
    }
    assert.ok(!list().has('127.0.0.1'));
  });
});

describe('a network', () => {
  it('has a fault when its address or its prefix is none', () => {
    for (const cidr of ['0.0.0.0/0', '10.1.2.3/32', '::/0', '::1/128'])
      assert.equal(networkFault(net(cidr)), null, cidr);
    for (const cidr of ['10.0.0/8', '010.0.0.1/8', 'fe80::1%eth0/64', 'a.example/8', '/8']) {
      assert.match(networkFault(net(cidr)) ?? '', /is no IP address/, cidr);
    }
    for (const cidr of ['10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/1.5', '10.0.0.0/x', '::/129']) {
      assert.match(networkFault(net(cidr)) ?? '', /is not 0 to (32|128)/, cidr);
    }
  });
});
