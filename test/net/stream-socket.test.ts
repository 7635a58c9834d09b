import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { StreamSocket } from '../../src/net/stream-socket.ts';
import { type TurnedPair, turnedPair } from '../support/turned-pair.ts';
import { within } from '../support/within.ts';

/** A tunnel whose streams are wrapped, each given to `onSocket`. */
async function withSockets(
  onSocket: (socket: StreamSocket, below: Duplex) => void,
  body: (pair: TurnedPair) => Promise<void>,
) {
  const pair = await turnedPair((stream) => {
    const below = stream.accept({ readMs: 0, writeMs: 0 });
    onSocket(new StreamSocket(below), below);
  });
  try {
    await body(pair);
  } finally {
    pair.close();
  }
}

function open(pair: TurnedPair): Promise<Duplex> {
  return pair.server.open('www.test', { way: 'https', transaction: '0' });
}

describe('a stream as node:http may have it', () => {
  test('what node:http answers arrives, where on the bare stream foreign memory came in its place', async () => {
    const server = createServer((_request, response) => {
      // Head as a string, body as bytes, and an empty string behind them: one gathered write.
      response.writeHead(200, 'OK', ['Content-Length', '1']);
      response.write(Buffer.from('x'));
      response.end();
    });
    await withSockets(
      (socket) => server.emit('connection', socket),
      async (pair) => {
        const stream = await open(pair);
        stream.write('GET / HTTP/1.1\r\nHost: www.test\r\n\r\n');
        const [answer] = await within('the answer', once(stream, 'data'));
        assert.match(String(answer), /^HTTP\/1\.1 200 OK\r\nContent-Length: 1\r\n/);
      },
    );
  });

  test('half-close passes both ways, and then it closes', async () => {
    const closed = Promise.withResolvers<void>();
    await withSockets(
      (socket) => {
        socket.on('close', closed.resolve);
        socket.on('data', (chunk) => socket.write(`you said ${chunk}`));
        socket.on('end', () => socket.end('. bye'));
      },
      async (pair) => {
        const stream = await open(pair);
        stream.end('hi');
        let heard = '';
        for await (const chunk of stream) heard += chunk;
        assert.equal(heard, 'you said hi. bye');
        await within('the close', closed.promise);
      },
    );
  });

  test('what a slow reader has not read when both directions have ended is not lost', async () => {
    const sockets: StreamSocket[] = [];
    let belowClosed: Promise<unknown> | undefined;
    await withSockets(
      (socket, below) => {
        sockets.push(socket);
        belowClosed = once(below, 'close');
      },
      async (pair) => {
        const stream = await open(pair);
        const socket = sockets[0] ?? assert.fail();
        const readable = once(socket, 'readable');
        socket.end();
        await within('the half-close', once(stream.resume(), 'end'));
        stream.end('last words');
        await within('the close at the far end', once(stream, 'close'));
        await within('the bytes', readable);
        await within('the close of the stream below', belowClosed ?? assert.fail());
        assert.equal(socket.destroyed, false);
        const closed = once(socket, 'close');
        let heard = '';
        for await (const chunk of socket) heard += chunk;
        assert.equal(heard, 'last words');
        await within('the close', closed);
      },
    );
  });

  test('a cut on one side is an error on the other', async () => {
    const sockets: StreamSocket[] = [];
    await withSockets(
      (socket) => sockets.push(socket),
      async (pair) => {
        const first = await open(pair);
        first.resume();
        const cut = once(first, 'error');
        sockets[0]?.destroy();
        await within('the cut, at the server', cut);

        const second = await open(pair);
        second.on('error', () => {});
        const socket = sockets[1] ?? assert.fail();
        const error = once(socket, 'error');
        second.destroy(new Error('visitor left'));
        assert.equal((await within('the cut, at the agent', error))[0].code, 'visitor-reset');
      },
    );
  });

  test('it takes no more than the reader wants', async () => {
    const sockets: StreamSocket[] = [];
    await withSockets(
      (socket) => sockets.push(socket),
      async (pair) => {
        const stream = await open(pair);
        stream.on('error', () => {});
        const chunk = Buffer.alloc(1024 * 1024);
        for (let i = 0; i < 16; i += 1) stream.write(chunk);
        // Wanted once; nothing is taken from it.
        sockets[0]?.read(0);
        // A round trip in which next to nothing came tells that no more will.
        for (let before = Number.NEGATIVE_INFINITY; pair.agentRaw.bytesRead - before > 4_096; ) {
          before = pair.agentRaw.bytesRead;
          (await open(pair)).destroy();
        }
        assert.ok((sockets[0]?.readableLength ?? Number.POSITIVE_INFINITY) < 1024 * 1024);
        stream.destroy();
      },
    );
  });
});
