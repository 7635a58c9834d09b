import { after, before } from 'node:test';
import { connectPeer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { testStreamEndings } from '../support/stream-ends.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';

for (const tls of [false, true]) {
  const how = tls ? 'over TLS' : 'in the clear';
  let target: RawTarget;
  let tunnel: Tunnel;
  let slowTunnel: Tunnel;
  before(async () => {
    target = await startRawTarget({ tls });
    tunnel = await openTunnel({ target: target.port });
    slowTunnel = await openTunnel({ target: target.port, link: { delayMs: 5, trickleBytes: 5_000 } });
  });
  after(async () => {
    await slowTunnel?.close();
    await tunnel?.close();
    await target.close();
  });

  testStreamEndings(`through the TCP way in, ${how}`, async () => {
    const visitor = await connectPeer(tunnel.tcp, { tls });
    return { visitor, target: await target.next() };
  });
  testStreamEndings(`through a tunnel on a slow link, ${how}`, async () => {
    const visitor = await connectPeer(slowTunnel.tcp, { tls });
    return { visitor, target: await target.next() };
  });
}
