import assert from 'node:assert/strict';
import * as net from 'node:net';
import { test } from 'node:test';
import { withListener } from '../support/listen-on.ts';
import { connectPeer } from '../support/raw-target.ts';
import { connectWire } from '../support/sockets.ts';
import { withTunnel } from '../support/with-tunnel.ts';
import { eventually, within } from '../support/within.ts';

const STALLED = 100;
const HEALTHY_BYTES = 3_000_000;

/** Sends for ever, as fast as it is taken. */
function startFlood(): net.Server {
  const chunk = Buffer.alloc(65_536, 'flood');
  return net.createServer((socket) => {
    socket.on('error', () => {});
    const pump = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', pump);
    pump();
  });
}

test('a crowd of readers that stopped makes the agent open a spare tunnel, which later visitors use, and which leaves with the crowd', () =>
  withListener(startFlood(), (target) =>
    withTunnel({ target, connections: 1 }, async (tunnel) => {
      const streams = (slot: number) =>
        tunnel.server
          .tunnels()
          .find((live) => live.slot === slot)
          ?.stats().streams;
      const wires = [];
      while (wires.length < STALLED) wires.push(await connectWire(tunnel.tcp));
      await eventually(
        'their windows to be full',
        () => (tunnel.server.tunnels()[0]?.stats().heldBytes ?? 0) > 9_000_000,
      );
      const { tunnel: spare } = await tunnel.serverEvents.wait('tunnel-opened', (event) => event.tunnel.slot === 1);
      assert.equal(spare.instance, 'first');
      assert.equal(streams(0), STALLED);
      const healthy = await connectPeer(tunnel.tcp);
      await within('a healthy download', healthy.received(HEALTHY_BYTES));
      assert.equal(streams(1), 1);
      for (const { raw } of wires) raw.resetAndDestroy();
      await eventually('the crowd to be gone', () => streams(0) === 0);
      // Whoever is on it still has it.
      await within('more of the download', healthy.received(2 * HEALTHY_BYTES));
      healthy.close();
      const { reason } = await tunnel.agentEvents.wait('tunnel-closed', (event) => event.tunnel.slot === 1);
      assert.equal(reason, 'drained');
      const later = await connectPeer(tunnel.tcp);
      await within('a later download', later.received(HEALTHY_BYTES));
      assert.equal(streams(0), 1);
      later.close();
    }),
  ));
