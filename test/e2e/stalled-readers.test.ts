import assert from 'node:assert/strict';
import * as net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { connectPeer } from '../support/raw-target.ts';
import { connectWire, type Wire } from '../support/sockets.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';
import { eventually, within } from '../support/within.ts';

const STALLED = 100;
const HEALTHY_BYTES = 30_000_000;
/** Far above what windows and kernels hold for one stream, far below what an unbounded buffer would take in this time. */
const MOST_BYTES_HELD = 16_000_000;

/** Sends for ever, as fast as it is taken, or takes nothing at all; which one is the first byte that it gets. */
function startFlood(): { server: net.Server; sent: () => number[]; received: () => number } {
  const sources = new Set<net.Socket>();
  let received = 0;
  const chunk = Buffer.alloc(65_536, 'flood');
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', (first: Buffer) => {
      if (first[0] === 'u'.charCodeAt(0)) {
        received += first.length - 1;
        socket.on('data', (more: Buffer) => {
          received += more.length;
        });
      } else if (first[0] === 's'.charCodeAt(0)) {
        socket.pause();
      } else {
        sources.add(socket);
        const pump = () => {
          while (!socket.destroyed && socket.write(chunk));
        };
        socket.on('drain', pump);
        pump();
      }
    });
  });
  return { server, sent: () => [...sources].map(({ bytesWritten }) => bytesWritten), received: () => received };
}

describe('one tunnel with a hundred stalled streams in it', () => {
  const flood = startFlood();
  const close = closerOf(flood.server);
  const wires: Wire[] = [];
  let tunnel: Tunnel;

  before(async () => {
    tunnel = await openTunnel({ target: await listenOn(flood.server) });
  });
  after(async () => {
    for (const { raw } of wires) raw.destroy();
    await tunnel?.close();
    await close();
  });

  test('carries a healthy download to its end, and holds a bounded amount for each stalled reader', async () => {
    for (let at = 0; at < STALLED; at += 1) {
      const wire = await connectWire(tunnel.tcp);
      wire.raw.write('d');
      // Never read: the kernel's buffers fill, then the windows, and then the target must feel it.
      wires.push(wire);
    }
    await eventually('the stalled downloads to be under way', () => flood.sent().length === STALLED);
    const healthy = await connectPeer(tunnel.tcp);
    await healthy.send('d');
    await within('a healthy download', healthy.received(HEALTHY_BYTES), 60_000);
    healthy.close();
    assert.equal(tunnel.serverEvents.of('tunnel-closed').length, 0);
    const most = Math.max(...flood.sent().slice(0, STALLED));
    assert.ok(most < MOST_BYTES_HELD, `${most} bytes were taken from the target for a reader that reads nothing`);
  });

  test('carries a healthy upload beside uploads that the target does not read', async () => {
    const chunk = Buffer.alloc(1_000_000, 'upload');
    for (let at = 0; at < 20; at += 1) {
      const wire = await connectWire(tunnel.tcp);
      wire.raw.write('s');
      for (let part = 0; part < 4; part += 1) wire.raw.write(chunk);
      wires.push(wire);
    }
    const healthy = await connectPeer(tunnel.tcp);
    await healthy.send('u');
    for (let sent = 0; sent < HEALTHY_BYTES; sent += chunk.length) await within('a write', healthy.send(chunk), 60_000);
    await eventually('the healthy upload', () => flood.received() >= HEALTHY_BYTES);
    healthy.close();
  });
});
