import assert from 'node:assert/strict';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { FakeServer } from '../support/fake-server.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { testDomain, withAgent } from '../support/with-agent.ts';
import { eventually, within } from '../support/within.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: www.test\r\n\r\n';

/** A stream of an agent that parses requests, and its target, which never answers. */
interface SlowTarget {
  /** Its open connections. */
  readonly sockets: ReadonlySet<net.Socket>;
  /** What each connection that it had said first. */
  readonly heard: readonly string[];
  open(): Promise<Duplex>;
}

async function withSlowTarget(body: (target: SlowTarget) => Promise<void>): Promise<void> {
  const sockets = new Set<net.Socket>();
  const heard: string[] = [];
  const listener = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.once('data', (chunk) => heard.push(String(chunk)));
  });
  const target = { kind: 'tcp', host: '127.0.0.1', port: await listenOn(listener) } as const;
  const server = new FakeServer();
  await server.listen();
  const open = () => (server.live[0] ?? assert.fail()).open('www.test', { way: 'https', transaction: 'x' });
  const domain = testDomain({ remote: [`127.0.0.1:${server.port}`], target });
  try {
    await withAgent({ domains: [domain], exchanges: true }, {}, async (agent) => {
      await within('ready', agent.ready);
      await body({ sockets, heard, open });
    });
  } finally {
    server.close();
    for (const socket of sockets) socket.destroy();
    await closerOf(listener)();
  }
}

test('the exchanges of a stream run one after the other', () =>
  withSlowTarget(async ({ heard, open }) => {
    const ask = async (requests: string) => void (await open()).on('error', () => {}).write(requests);
    await ask(REQUEST.repeat(2));
    await eventually('the first', () => heard.length > 0);
    // What other streams ask comes behind all that this one does.
    await ask(REQUEST.replace('/', '/other'));
    await eventually('that of the other stream', () => heard.some((text) => text.startsWith('GET /other ')));
    assert.equal(heard.length, 2);
  }));

test('a server that does not wait for answers gets no connections for that, and leaves none behind', () =>
  withSlowTarget(async ({ sockets, heard, open }) => {
    const stream = await open();
    const cut = new Promise((resolve) => stream.once('error', resolve));
    stream.write(REQUEST.repeat(50));
    await within('a reset', cut);
    await eventually('no connection is left', () => sockets.size === 0);
    assert.ok(heard.length <= 1);
  }));
