import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { FakeServer } from '../support/fake-server.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { testDomain, withAgent } from '../support/with-agent.ts';
import { eventually, within } from '../support/within.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: www.test\r\n\r\n';

/** A target that never answers: its open connections, and what each that it had said first. */
interface SlowTarget {
  readonly sockets: ReadonlySet<net.Socket>;
  readonly heard: readonly string[];
}

async function withSlowTarget(body: (port: number, target: SlowTarget) => Promise<void>): Promise<void> {
  const sockets = new Set<net.Socket>();
  const heard: string[] = [];
  const target = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.once('data', (chunk) => heard.push(String(chunk)));
  });
  const port = await listenOn(target);
  try {
    await body(port, { sockets, heard });
  } finally {
    for (const socket of sockets) socket.destroy();
    await closerOf(target)();
  }
}

test('the exchanges of a stream run one after the other', () =>
  withSlowTarget(async (port, { heard }) => {
    const server = new FakeServer();
    await server.listen();
    const target = { kind: 'tcp', host: '127.0.0.1', port } as const;
    const domain = testDomain({ remote: [`127.0.0.1:${server.port}`], target });
    try {
      await withAgent({ domains: [domain], exchanges: true }, {}, async (agent) => {
        await within('ready', agent.ready);
        const open = async (requests: string) => {
          const stream = await (server.live[0] ?? assert.fail()).open('www.test', { way: 'https', transaction: 'x' });
          stream.on('error', () => {}).write(requests);
        };
        await open(REQUEST.repeat(2));
        await eventually('the first', () => heard.length > 0);
        // What other streams ask comes behind all that this one does.
        await open(REQUEST.replace('/', '/other'));
        await eventually('that of the other stream', () => heard.some((text) => text.startsWith('GET /other ')));
        assert.equal(heard.length, 2);
      });
    } finally {
      server.close();
    }
  }));

test('a server that does not wait for answers gets no connections for that, and leaves none behind', () =>
  withSlowTarget(async (port, { sockets, heard }) => {
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
        assert.ok(heard.length <= 1);
      });
    } finally {
      server.close();
    }
  }));
