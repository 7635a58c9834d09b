import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { FakeServer } from '../support/fake-server.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { testDomain, withAgent } from '../support/with-agent.ts';
import { eventually, within } from '../support/within.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: www.test\r\n\r\n';

/** A target that never answers; its open connections, and how many it had. */
async function withSlowTarget(
  body: (port: number, sockets: Set<net.Socket>, count: () => number) => Promise<void>,
): Promise<void> {
  const sockets = new Set<net.Socket>();
  let count = 0;
  const target = net.createServer((socket) => {
    count += 1;
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  const port = await listenOn(target);
  try {
    await body(port, sockets, () => count);
  } finally {
    for (const socket of sockets) socket.destroy();
    await closerOf(target)();
  }
}

test('a server that does not wait for answers gets no connections for that, and leaves none behind', () =>
  withSlowTarget(async (port, sockets, count) => {
    const server = new FakeServer();
    await server.listen();
    const target = { kind: 'tcp', host: '127.0.0.1', port } as const;
    const domain = testDomain({ remote: [`127.0.0.1:${server.port}`], target });
    try {
      await withAgent({ domains: [domain], exchanges: true }, {}, async (agent) => {
        await within('ready', agent.ready);
        const stream = await (server.live[0] ?? assert.fail()).open('www.test', { way: 'https', transaction: 'x' });
        const cut = new Promise((resolve) => stream.once('error', resolve));
        stream.write(REQUEST.repeat(50));
        await within('a reset', cut);
        await eventually('no connection is left', () => sockets.size === 0);
        assert.ok(count() <= 1);
      });
    } finally {
      server.close();
    }
  }));
