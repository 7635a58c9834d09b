import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Framing, type HttpTarget, startHttpTarget } from '../support/http-target.ts';
import { connectPeer } from '../support/raw-target.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

let target: HttpTarget;
let tunnel: Tunnel;
before(async () => {
  target = await startHttpTarget();
  tunnel = await openTunnel({ target: target.port });
});
after(async () => {
  await tunnel?.close();
  await target.close();
});

// Who speaks HTTP/1.0 is told the length of a chunked answer by nothing but the end of the connection.
for (const framing of ['chunked', 'length', 'close'] as const satisfies Framing[]) {
  for (const how of ['fin', 'reset'] as const) {
    if (framing === 'close' && how === 'fin') continue;
    test(`an answer (${framing}) that the target cuts by ${how} is a reset to an HTTP/1.0 visitor`, async () => {
      const path = `/${framing}/${how}`;
      const visitor = await connectPeer(tunnel.frontDoor, { tls: true });
      await visitor.send(`GET ${path} HTTP/1.0\r\nHost: www.example.com\r\n\r\n`);
      const exchange = await target.next(path);
      exchange.respond(framing, 1_000);
      await exchange.send('only the beginning');
      await visitor.receivedText('only the beginning');
      exchange[how]();
      assert.equal((await within('the end', visitor.ending)).verdict, 'reset');
      visitor.close();
    });
  }
}
