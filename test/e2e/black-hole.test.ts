import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startHttpTarget } from '../support/http-target.ts';
import { visit } from '../support/http-visitor.ts';
import { bringUnderWay } from '../support/in-flight.ts';
import { connectPeer } from '../support/raw-target.ts';
import { withTunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

/** The design promises 10 s, on both sides: 5 s until a PING, 5 s until it counts as unanswered. The rest is for busy machines. */
const KNOWN_WITHIN_MS = 20_000;

test('a tunnel that leads into a black hole is known on both sides within 10 s, and nothing in it hangs', async () => {
  await using stack = new AsyncDisposableStack();
  const target = await startHttpTarget();
  stack.defer(() => target.close());
  await withTunnel({ target: target.port, link: {} }, async (tunnel) => {
    const stream = await connectPeer(tunnel.tcp);
    const inFlight = await bringUnderWay(tunnel.frontDoor, target);
    try {
      tunnel.link.stall();
      const stalledAt = performance.now();
      const late = await visit(tunnel.frontDoor, { tls: true, version: 'HTTP/1.1', path: '/late' });
      const closed = await Promise.all([
        tunnel.serverEvents.wait('tunnel-closed', undefined, { deadlineMs: KNOWN_WITHIN_MS }),
        tunnel.agentEvents.wait('tunnel-closed', undefined, { deadlineMs: KNOWN_WITHIN_MS }),
      ]);
      const knownAfterMs = performance.now() - stalledAt;
      assert.ok(knownAfterMs < KNOWN_WITHIN_MS, `known after ${knownAfterMs} ms`);
      assert.deepEqual(
        closed.map(({ reason }) => reason),
        ['silent', 'silent'],
      );
      await inFlight.endsVisibly(10_000);
      const { verdict } = await within('the end of a TCP stream', stream.ending);
      assert.equal(verdict, 'reset');
      assert.equal((await within('the end of a late request', late.ending)).verdict, 'clean');
      assert.equal(await late.status(), 504);
      late.close();

      const unserved = await visit(tunnel.frontDoor, { tls: true, version: 'HTTP/1.1' });
      assert.equal((await unserved.head()).status, 404);
      unserved.close();
    } finally {
      inFlight.close();
      stream.close();
    }
  });
});
