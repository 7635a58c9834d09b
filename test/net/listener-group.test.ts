import assert from 'node:assert/strict';
import * as net from 'node:net';
import { describe, it } from 'node:test';
import { listenOn } from '../../src/net/listen.ts';
import { ListenerGroup } from '../../src/net/listener-group.ts';

/** A group with one listener, and a connection to it that is open on both sides. */
async function connected(): Promise<{ group: ListenerGroup; accepted: net.Socket; visitor: net.Socket }> {
  const group = new ListenerGroup();
  const { promise, resolve } = Promise.withResolvers<net.Socket>();
  const onSocket = (socket: net.Socket): void => {
    group.addSocket(socket.on('error', () => {}));
    resolve(socket);
  };
  const listener = await listenOn({ host: '127.0.0.1', port: 0 }, { onSocket });
  group.addListener(listener);
  const visitor = net.connect(listener.address as net.TcpNetConnectOpts).on('error', () => {});
  return { group, accepted: await promise, visitor };
}

describe('a group of listeners that drains', () => {
  it('lets what is open finish within its time', async () => {
    const { group, accepted, visitor } = await connected();
    const drained = group.drain(60_000, () => assert.fail('it had its time'));
    accepted.resume();
    visitor.end();
    await drained;
    assert.equal(group.size, 0);
  });

  it('ends what is open after its time, at once where that is none', async () => {
    for (const drainMs of [5, 0]) {
      const { group, accepted, visitor } = await connected();
      const closed = new Promise((resolve) => visitor.once('close', resolve));
      await group.drain(drainMs, (socket) => {
        assert.equal(socket, accepted);
        socket.resetAndDestroy();
      });
      assert.equal(group.size, 0);
      await closed;
    }
  });
});
