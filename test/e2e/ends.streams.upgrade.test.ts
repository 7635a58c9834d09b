import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before } from 'node:test';
import { FaultyLink } from '../support/faulty-link.ts';
import { connectPeer, type Peer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { testStreamEndings } from '../support/stream-ends.ts';
import { agreeToUpgrade, askForHttp2WebSocket, askForUpgrade, readSwitch } from '../support/upgrade.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

let clear: RawTarget;
let secure: RawTarget;
let link: FaultyLink;
let tunnel: Tunnel;

before(async () => {
  clear = await startRawTarget();
  secure = await startRawTarget({ tls: true });
  link = await FaultyLink.to(secure.port, { delayMs: 2, trickleBytes: 40 });
  tunnel = await openTunnel({ target: clear.port });
});
after(async () => {
  await tunnel.close();
  await link.close();
  await secure.close();
  await clear.close();
});

async function upgraded(visitor: Peer, targetOf: RawTarget): Promise<{ visitor: Peer; target: Peer }> {
  await askForUpgrade(visitor);
  const target = await targetOf.next();
  await agreeToUpgrade(target);
  await readSwitch(visitor);
  return { visitor, target };
}

testStreamEndings('after an upgrade on bare sockets in the clear', async () =>
  upgraded(await connectPeer(clear.port), clear),
);
testStreamEndings('after an upgrade on bare sockets over TLS', async () =>
  upgraded(await connectPeer(secure.port, { tls: true }), secure),
);
testStreamEndings('after an upgrade on the faulty link over TLS', async () =>
  upgraded(await connectPeer(link.port, { tls: true }), secure),
);
testStreamEndings('after an upgrade through the TCP way in', async () =>
  upgraded(await connectPeer(tunnel.tcp), clear),
);
testStreamEndings('after an upgrade through the HTTPS way in', async () =>
  upgraded(await connectPeer(tunnel.frontDoor, { tls: true, alpn: ['http/1.1'] }), clear),
);
testStreamEndings('after an extended CONNECT through the HTTPS way in', async () => {
  const { stream, peer } = await askForHttp2WebSocket(tunnel.frontDoor);
  const target = await clear.next();
  await agreeToUpgrade(target);
  const [headers] = await within('the answer', once(stream, 'response'));
  assert.equal(headers[':status'], 200);
  return { visitor: peer, target };
});
