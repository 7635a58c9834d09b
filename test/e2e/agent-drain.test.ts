import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { testAuthority } from '../support/certificates.ts';
import { greetingOf, startEchoTarget } from '../support/echo-target.ts';
import { DOMAIN, withTunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

for (const exchanges of [false, true]) {
  describe(`an agent that closes (${exchanges ? 'exchanges parsed' : 'spliced'})`, () => {
    test('is not held up by idle kept-alive streams', async () => {
      const server = createServer((_incoming, response) => response.end('x'));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      try {
        await withTunnel({ target: port, agent: { exchanges } }, async (tunnel) => {
          await visit(tunnel.frontDoor);
          await within('close, with the default deadline of 30 s', tunnel.agent.close(), 25_000);
          assert.equal((await tunnel.agentEvents.until('tunnel-closed'))[0]?.reason, 'drained');
        });
      } finally {
        server.closeAllConnections();
        server.close();
      }
    });

    test('lets an answer that is under way end', async () => {
      const answering = Promise.withResolvers<() => void>();
      const server = createServer((_incoming, response) => {
        response.write('first half, ');
        answering.resolve(() => response.end('second half'));
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      try {
        await withTunnel({ target: port, agent: { exchanges } }, async (tunnel) => {
          const visiting = visit(tunnel.frontDoor);
          const finish = await answering.promise;
          const closing = tunnel.agent.close();
          await tunnel.agentEvents.until('tunnel-draining');
          finish();
          assert.equal(await within('the answer', visiting), 'first half, second half');
          await within('close', closing, 25_000);
        });
      } finally {
        server.closeAllConnections();
        server.close();
      }
    });
  });
}

test('what is still open at the deadline is cut, and a second close can only hurry', async () => {
  const target = await startEchoTarget('hello');
  try {
    await withTunnel({ target: target.address }, async (tunnel) => {
      const stream = await tunnel.server.dial(DOMAIN);
      assert.equal(await greetingOf(stream), 'hello');
      const cut = once(stream, 'error');
      const closing = tunnel.agent.close({ drainMs: 60_000 });
      const hurried = tunnel.agent.close({ drainMs: 100 });
      await within('the cut', cut, 25_000);
      await within('both', Promise.all([closing, hurried]), 25_000);
      await tunnel.agent.close();
    });
  } finally {
    target.close();
  }
});

async function visit(port: number): Promise<string> {
  const sent = request({
    host: '127.0.0.1',
    port,
    servername: DOMAIN,
    ca: testAuthority().cert,
    headers: { host: DOMAIN },
    agent: false,
  });
  sent.end();
  const [response] = await within('a response', once(sent, 'response'));
  return String(await buffer(response));
}
