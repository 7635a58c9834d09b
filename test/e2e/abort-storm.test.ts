import assert from 'node:assert/strict';
import * as http2 from 'node:http2';
import { test } from 'node:test';
import { abortStorm } from '../support/abort-storm.ts';
import { connectPeer, type Peer, startRawTarget } from '../support/raw-target.ts';
import { connectWire } from '../support/sockets.ts';
import { type Tunnel, withTunnel } from '../support/with-tunnel.ts';
import { eventually, within } from '../support/within.ts';

/** Where nghttp2 gives up a session by itself: about 1,000 resets at once and 33 a second more. The long form is a soak. */
const RESETS = 2_500;

/** The tunnel is the one that was opened, and what was open in it still works both ways. */
async function isUndisturbed(tunnel: Tunnel, visitor: Peer, target: Peer): Promise<void> {
  assert.deepEqual(tunnel.serverEvents.of('tunnel-closed'), []);
  assert.deepEqual(tunnel.serverEvents.of('tunnel-draining'), []);
  assert.equal(tunnel.server.tunnels().length, 1);
  const [wasVisitor, wasTarget] = [visitor.length, target.length];
  await visitor.send('ping');
  await target.received(wasTarget + 4);
  await target.send('pong');
  await visitor.received(wasVisitor + 4);
}

test('visitors who reset, more than nghttp2 would bear, leave the tunnel and its other streams alone', async () => {
  await using target = await startRawTarget({ onPeer: (peer) => void peer.stream.write('banner') });
  await withTunnel({ target: target.port }, async (tunnel) => {
    const visitor = await connectPeer(tunnel.tcp);
    const far = await target.next();
    await visitor.received(6);
    const storm = await abortStorm({ port: tunnel.tcp, visitors: RESETS, perSecond: 5_000 });
    assert.deepEqual([storm.resets, storm.refused], [RESETS, 0]);
    await isUndisturbed(tunnel, visitor, far);
    visitor.close();
    await eventually('every target connection to end', () =>
      target.peers.every(({ raw }) => raw.destroyed || raw === far.raw),
    );
  });
});

test('visitors who reset their HTTP/2 requests leave the tunnel and its other streams alone', async () => {
  await using target = await startRawTarget();
  // All are one process: while it makes the storm, a handshake waits.
  const options = { domain: { concurrency: 10_000 }, server: { readTimeoutMs: 60_000 } };
  await withTunnel({ target: target.port, ...options }, async (tunnel) => {
    const visitor = await connectPeer(tunnel.tcp);
    const far = await target.next();
    for (let sessions = 0; sessions < 5; sessions += 1) {
      const wire = await connectWire(tunnel.frontDoor, { tls: true, alpn: ['h2'], halfOpen: false });
      const session = http2.connect('https://www.example.com', { createConnection: () => wire.stream });
      session.on('error', () => {});
      for (let batch = 0; batch < 10; batch += 1) await resetRequests(session, 50, target.peers);
      wire.raw.resetAndDestroy();
    }
    await isUndisturbed(tunnel, visitor, far);
  });
});

/** Sends requests, waits until each has reached the target, and resets them all. */
async function resetRequests(session: http2.ClientHttp2Session, count: number, peers: readonly Peer[]): Promise<void> {
  const before = requestsOf(peers);
  const requests = Array.from({ length: count }, () => session.request({ ':path': '/storm' }));
  const closed = requests.map(
    (request) =>
      new Promise<void>((resolve) => {
        request.on('error', () => {});
        request.on('close', resolve);
      }),
  );
  await eventually('the requests at the target', () => requestsOf(peers) >= before + count);
  for (const request of requests) request.close(http2.constants.NGHTTP2_CANCEL);
  await within('the end of the requests', Promise.all(closed));
}

function requestsOf(peers: readonly Peer[]): number {
  return peers.reduce((sum, peer) => sum + peer.text.split('/storm').length - 1, 0);
}
