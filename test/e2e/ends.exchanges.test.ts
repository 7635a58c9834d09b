import { after, before } from 'node:test';
import { testHttpEndings } from '../support/http-ends.ts';
import { type HttpTarget, startHttpTarget } from '../support/http-target.ts';
import { connectPeer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { testStreamEndings } from '../support/stream-ends.ts';
import { agreeToUpgrade, askForUpgrade, readSwitch } from '../support/upgrade.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';

/** The same ends as where the agent splices: nothing may tell the two apart. */
const PARSED = { exchanges: true };

let target: HttpTarget;
let raw: RawTarget;
let tunnel: Tunnel;
let rawTunnel: Tunnel;

before(async () => {
  target = await startHttpTarget();
  raw = await startRawTarget();
  tunnel = await openTunnel({ target: target.port, agent: PARSED });
  rawTunnel = await openTunnel({ target: raw.port, agent: PARSED });
});
after(async () => {
  await tunnel.close();
  await rawTunnel.close();
  await target.close();
  await raw.close();
});

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  testHttpEndings(`through an agent that parses exchanges, ${version}`, {
    tls: true,
    version,
    targetVersion: 'HTTP/1.1',
    port: () => tunnel.frontDoor,
    exchange: (path) => target.next(path),
  });
}

testStreamEndings('after an upgrade through an agent that parses exchanges', async () => {
  const visitor = await connectPeer(rawTunnel.frontDoor, { tls: true, alpn: ['http/1.1'] });
  await askForUpgrade(visitor);
  const peer = await raw.next();
  await agreeToUpgrade(peer);
  await readSwitch(visitor);
  return { visitor, target: peer };
});
