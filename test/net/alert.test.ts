import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ALERT, sendAlert } from '../../src/net/alert.ts';
import { listenOn } from '../support/listen-on.ts';
import { connectPeer } from '../support/raw-target.ts';
import { CLEAN } from '../support/verdict.ts';
import { within } from '../support/within.ts';

const ALERT_112 = Buffer.of(0x15, 3, 3, 0, 2, 2, 112);

/** A listener that answers the first bytes of each connection with alert 112. */
async function refusing(t: TestContext) {
  const sockets: Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      // As a peek leaves it.
      socket.pause();
      sendAlert(socket, ALERT.unrecognizedName);
    });
  });
  const port = await listenOn(server);
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port, sockets };
}

test('an alert is the 7 bytes of its record, then a FIN; the connection is gone with the peer', async (t) => {
  const { port, sockets } = await refusing(t);
  const peer = await connectPeer(port);
  await peer.send('x');
  assert.deepEqual(await within('the end', peer.ending), CLEAN);
  assert.deepEqual(peer.bytes, ALERT_112);
  peer.fin();
  const [socket] = sockets;
  assert.ok(socket !== undefined);
  if (!socket.destroyed) await within('the close', once(socket, 'close'));
});

test('an alert arrives although the peer goes on sending', async (t) => {
  const { port } = await refusing(t);
  const peer = await connectPeer(port);
  peer.stream.write(Buffer.alloc(500_000, 'x'));
  assert.deepEqual(await within('the end', peer.ending), CLEAN);
  assert.deepEqual(peer.bytes, ALERT_112);
  peer.close();
});

test('a peer that sends more than 1 MB after its alert is cut', async (t) => {
  const { port, sockets } = await refusing(t);
  const peer = await connectPeer(port);
  peer.stream.write(Buffer.alloc(10_000_000, 'x'));
  await peer.received(ALERT_112.length);
  const [socket] = sockets;
  assert.ok(socket !== undefined);
  if (!socket.destroyed) await within('the close', once(socket, 'close'));
  assert.ok(socket.bytesRead < 2_000_000, `${socket.bytesRead} bytes were read`);
  peer.close();
});

test('a peer that does not close is cut after 2 s', async (t) => {
  const { port, sockets } = await refusing(t);
  const peer = await connectPeer(port);
  const started = performance.now();
  await peer.send('x');
  await peer.ending;
  const [socket] = sockets;
  assert.ok(socket !== undefined);
  await within('the close', once(socket, 'close'));
  assert.ok(performance.now() - started > 1_500);
  peer.close();
});
