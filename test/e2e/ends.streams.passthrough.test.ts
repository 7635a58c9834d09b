import { after, before } from 'node:test';
import { connectPeer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { testStreamEndings } from '../support/stream-ends.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';

let target: RawTarget;
let tunnel: Tunnel;
let slowTunnel: Tunnel;
before(async () => {
  target = await startRawTarget({ tls: true });
  const domain = { tls: 'passthrough' } as const;
  tunnel = await openTunnel({ target: target.port, domain });
  slowTunnel = await openTunnel({ target: target.port, domain, link: { delayMs: 5, trickleBytes: 5_000 } });
});
after(async () => {
  await slowTunnel?.close();
  await tunnel?.close();
  await target.close();
});

testStreamEndings('through TLS passthrough', async () => {
  const visitor = await connectPeer(tunnel.frontDoor, { tls: true });
  return { visitor, target: await target.next() };
});
testStreamEndings('through TLS passthrough and a tunnel on a slow link', async () => {
  const visitor = await connectPeer(slowTunnel.frontDoor, { tls: true });
  return { visitor, target: await target.next() };
});
