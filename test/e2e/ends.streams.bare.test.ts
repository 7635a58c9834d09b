import { after, before } from 'node:test';
import { FaultyLink } from '../support/faulty-link.ts';
import { connectPeer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { testStreamEndings } from '../support/stream-ends.ts';

// What an end looks like on bare sockets is the measure; the link must not change it, or it could not be used to judge.
for (const tls of [false, true]) {
  const how = tls ? 'over TLS' : 'in the clear';
  let target: RawTarget;
  let link: FaultyLink;
  before(async () => {
    target = await startRawTarget({ tls });
    link = await FaultyLink.to(target.port, { delayMs: 2, trickleBytes: 40 });
  });
  after(async () => {
    await link.close();
    await target.close();
  });

  testStreamEndings(`on bare sockets ${how}`, async () => {
    const visitor = await connectPeer(target.port, { tls });
    return { visitor, target: await target.next() };
  });
  testStreamEndings(`on the faulty link ${how}`, async () => {
    const visitor = await connectPeer(link.port, { tls });
    return { visitor, target: await target.next() };
  });
}
