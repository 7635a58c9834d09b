import { after, before } from 'node:test';
import { connectPeer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { testStreamEndings } from '../support/stream-ends.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';

for (const tls of [false, true]) {
  let target: RawTarget;
  let tunnel: Tunnel;
  before(async () => {
    target = await startRawTarget({ tls });
    tunnel = await openTunnel({ target: target.port });
  });
  after(async () => {
    await tunnel.close();
    await target.close();
  });

  testStreamEndings(`through the TCP way in, ${tls ? 'over TLS' : 'in the clear'}`, async () => {
    const visitor = await connectPeer(tunnel.tcp, { tls });
    return { visitor, target: await target.next() };
  });
}
