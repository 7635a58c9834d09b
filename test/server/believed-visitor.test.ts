import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { NetworkList } from '../../src/net/networks.ts';
import { believedVisitor } from '../../src/server/believed-visitor.ts';

const PROXIES = new NetworkList([
  { address: '10.0.0.0', prefix: 8 },
  { address: '2001:db8:1::', prefix: 48 },
]);
const PROXY = '10.0.0.1:4321';

describe('the believed visitor', () => {
  it('is who connects, where no proxy is believed, and what they wrote is replaced', () => {
    assert.deepEqual(believedVisitor(null, PROXY, '192.0.2.1'), { remote: PROXY, forwardedFor: '10.0.0.1' });
  });

  it('is who connects from elsewhere than a believed proxy', () => {
    const stranger = believedVisitor(PROXIES, '192.0.2.7:1', '203.0.113.1, 10.0.0.2');
    assert.deepEqual(stranger, { remote: '192.0.2.7:1', forwardedFor: '192.0.2.7' });
    assert.deepEqual(believedVisitor(PROXIES, 'unix', '203.0.113.1'), { remote: 'unix', forwardedFor: 'unix' });
  });

  it('is the proxy itself where that names nobody', () => {
    assert.deepEqual(believedVisitor(PROXIES, PROXY, ''), { remote: PROXY, forwardedFor: '10.0.0.1' });
  });

  for (const [given, remote] of [
    ['192.0.2.1', '192.0.2.1:0'],
    ['192.0.2.1:55', '192.0.2.1:55'],
    ['2001:db8::1', '[2001:db8::1]:0'],
    ['[2001:db8::1]', '[2001:db8::1]:0'],
    ['[2001:db8::1]:55', '[2001:db8::1]:55'],
    ['::ffff:192.0.2.1', '192.0.2.1:0'],
    // What is left of the first that is not believed, the visitor wrote.
    ['203.0.113.9, 192.0.2.1', '192.0.2.1:0'],
    ['10.0.0.9, 192.0.2.1', '192.0.2.1:0'],
    // A chain of proxies.
    ['192.0.2.1, 10.0.0.3 ,2001:db8:1::5', '192.0.2.1:0'],
    ['10.0.0.3, 10.0.0.4', '10.0.0.3:0'],
    // What is no address ends the way at the proxy that wrote it.
    ['unknown', PROXY],
    ['192.0.2.1, _hidden', PROXY],
    ['192.0.2.1, unknown, 10.0.0.3', '10.0.0.3:0'],
    ['192.0.2.1,', PROXY],
    ['010.0.0.1', PROXY],
    ['192.0.2.1:99999', PROXY],
    ['www.example.com', PROXY],
    ['fe80::1%eth0', '[fe80::1%eth0]:0'],
  ] as const) {
    it(`is ${remote} where the proxy says ${JSON.stringify(given)}, and the list grows by the proxy`, () => {
      assert.deepEqual(believedVisitor(PROXIES, PROXY, given), { remote, forwardedFor: `${given}, 10.0.0.1` });
    });
  }

  it('never depends on what a visitor wrote, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), (forged) => {
        const { remote } = believedVisitor(PROXIES, PROXY, `${forged}, 192.0.2.1, 10.0.0.7`);
        assert.equal(remote, '192.0.2.1:0');
      }),
    );
  });

  it('is not looked for behind more than 32 proxies', () => {
    const chain = Array.from({ length: 40 }, () => '10.0.0.5').join(', ');
    assert.equal(believedVisitor(PROXIES, PROXY, `192.0.2.1, ${chain}`).remote, '10.0.0.5:0');
  });
});
