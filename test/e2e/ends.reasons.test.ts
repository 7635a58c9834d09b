import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectPeer, type Peer, startRawTarget } from '../support/raw-target.ts';
import { DOMAIN, openTunnel, type Tunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

const UPGRADE = `GET / HTTP/1.1\r\nHost: ${DOMAIN}\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n`;
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n';

/** The reasons in the access logs of server and agent for one stream, once bytes went both ways. */
async function reasons(
  end: (visitor: Peer, target: Peer, tunnel: Tunnel) => Promise<unknown>,
  way: 'tcp' | 'upgrade' = 'tcp',
): Promise<string[]> {
  const target = await startRawTarget();
  const tunnel = await openTunnel({ target: target.port, link: {} });
  try {
    const visitor = await connectPeer(way === 'tcp' ? tunnel.tcp : tunnel.frontDoor, { tls: way !== 'tcp' });
    if (way === 'upgrade') await visitor.send(UPGRADE);
    const peer = await target.next();
    if (way === 'upgrade') await peer.send(SWITCH);
    await visitor.send('there');
    await peer.receivedText('there');
    await peer.send('and back');
    await visitor.receivedText('and back');
    await end(visitor, peer, tunnel);
    const records = [tunnel.serverEvents, tunnel.agentEvents].map((events) => events.wait('access'));
    return (await within('both records', Promise.all(records))).map(({ record }) => record.reason);
  } finally {
    await tunnel.close();
    await target.close();
  }
}

const halfClose = async (one: Peer, other: Peer): Promise<void> => {
  one.fin();
  await within('the end', other.ending);
};

describe('why a stream ended is told alike, whether or not the other side had ended its own direction', () => {
  test('a target that resets', async () => {
    const expected = ['target-lost', 'target-lost'];
    assert.deepEqual(await reasons(async (_, target) => target.reset(), 'upgrade'), expected);
    assert.deepEqual(await reasons(async (_, target) => target.reset()), expected);
    assert.deepEqual(
      await reasons(async (visitor, target) => {
        await halfClose(visitor, target);
        target.reset();
      }),
      expected,
    );
  });

  test('a visitor that resets', async () => {
    const expected = ['visitor-reset', 'visitor-reset'];
    assert.deepEqual(await reasons(async (visitor) => visitor.reset()), expected);
    assert.deepEqual(
      await reasons(async (visitor, target) => {
        await halfClose(target, visitor);
        visitor.reset();
      }),
      expected,
    );
  });

  test('a tunnel that is lost', async () => {
    const expected = ['agent-lost', 'agent-lost'];
    assert.deepEqual(await reasons(async (_, __, { link }) => link.reset()), expected);
    assert.deepEqual(await reasons(async (_, __, { link }) => link.reset(), 'upgrade'), expected);
    for (const first of ['visitor', 'target'] as const) {
      const lost = reasons(async (visitor, target, { link }) => {
        await (first === 'visitor' ? halfClose(visitor, target) : halfClose(target, visitor));
        link.reset();
      });
      assert.deepEqual(await lost, expected, first);
    }
  });
});
