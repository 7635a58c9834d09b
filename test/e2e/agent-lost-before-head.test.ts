import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectPeer, startRawTarget } from '../support/raw-target.ts';
import { DOMAIN, withTunnel } from '../support/with-tunnel.ts';

for (const how of ['FIN', 'RST'] as const) {
  test(`an agent that is lost by ${how} before the head of an answer is a 502 that names the hop (known fault: 200 with an empty body)`, async () => {
    const target = await startRawTarget();
    try {
      await withTunnel({ target: target.port, link: {} }, async (tunnel) => {
        const visitor = await connectPeer(tunnel.frontDoor, { tls: true });
        // Of a request that may not be sent twice: no other tunnel is waited for.
        await visitor.send(`POST / HTTP/1.1\r\nHost: ${DOMAIN}\r\nContent-Length: 2\r\n\r\nhi`);
        const far = await target.next();
        await far.receivedText('\r\n\r\nhi');
        if (how === 'FIN') tunnel.link.cut();
        else tunnel.link.reset();
        const head = await visitor.receivedText('\r\n\r\n');
        assert.match(head, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
        assert.match(head, /\r\nProxy-Status: server\.test; error=[a-z_]+; details="agent-lost"\r\n/);
        visitor.close();
      });
    } finally {
      await target.close();
    }
  });
}
