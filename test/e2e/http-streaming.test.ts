import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http from 'node:http';
import * as http2 from 'node:http2';
import { describe, test } from 'node:test';
import { startHttpTarget } from '../support/http-target.ts';
import { visit } from '../support/http-visitor.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { connectPeer, type Peer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { connectWire } from '../support/sockets.ts';
import { withTunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

/** What a test has of its own: a stream that an earlier one left free may just be closing, and a POST cannot be sent twice. */
interface Kit {
  readonly target: RawTarget;
  connect(): Promise<Peer>;
  connectHttp2(): Promise<http2.ClientHttp2Session>;
}

/** Closes all of it, whatever `body` does. */
async function withTarget(body: (kit: Kit) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const target = stack.use(await startRawTarget());
  await withTunnel({ target: target.port }, async ({ frontDoor }) => {
    using visitors = new DisposableStack();
    await body({
      target,
      connect: async () => visitors.adopt(await connectPeer(frontDoor, { tls: true }), (peer) => peer.close()),
      async connectHttp2() {
        const wire = await connectWire(frontDoor, { tls: true, alpn: ['h2'], halfOpen: false });
        const session = http2.connect('https://www.example.com', { createConnection: () => wire.stream });
        session.on('error', () => {});
        return visitors.adopt(session, () => session.destroy());
      },
    });
  });
}

const GET = 'GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n';
const CHUNKED_POST = 'POST / HTTP/1.1\r\nHost: www.example.com\r\nTransfer-Encoding: chunked\r\n';

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  describe(`over ${version}`, () => {
    test('server-sent events arrive one by one, each as it is sent', async () => {
      await using http = await startHttpTarget();
      await withTunnel({ target: http.port }, async ({ frontDoor }) => {
        const visitor = await visit(frontDoor, { tls: true, version });
        const exchange = await http.next('/');
        exchange.respond('chunked', 0);
        let length = 0;
        for (const event of ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n']) {
          await exchange.send(event);
          length += event.length;
          await visitor.received(length);
        }
        assert.equal((await visitor.bytes()).toString(), 'data: 1\n\ndata: 2\n\ndata: 3\n\n');
        visitor.close();
      });
    });

    test('request and answer stream at the same time, piece by piece', async () => {
      await using http = await startHttpTarget();
      await withTunnel({ target: http.port }, async ({ frontDoor }) => {
        const visitor = await visit(frontDoor, { tls: true, version, method: 'POST' });
        await visitor.send('0');
        const exchange = await http.next('/');
        exchange.respond('chunked', 0);
        for (let piece = 1; piece <= 20; piece += 1) {
          await exchange.received(piece);
          await exchange.send('x');
          await visitor.received(piece);
          await visitor.send('y');
        }
        visitor.finish();
        assert.equal((await within('the end of the request', exchange.requestEnding)).verdict, 'clean');
        exchange.finish();
        assert.equal((await within('the end of the answer', visitor.ending)).verdict, 'clean');
        visitor.close();
      });
    });
  });
}

describe('interim answers', () => {
  test('103 Early Hints reach an HTTP/1.1 visitor before the answer is there', () =>
    withTarget(async ({ target, connect }) => {
      const visitor = await connect();
      await visitor.send(GET);
      const far = await target.next();
      await far.receivedText('\r\n\r\n');
      await far.send('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n\r\n');
      const hint = await visitor.receivedText('\r\n\r\n');
      assert.match(
        hint,
        /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\nLink: <\/b\.js>; rel=preload$/,
      );
      visitor.drop(hint.length + 4);
      await far.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      assert.match(await visitor.receivedText('\r\n\r\nok'), /^HTTP\/1\.1 200 OK/);
    }));

  test('103 Early Hints reach an HTTP/2 visitor', () =>
    withTarget(async ({ target, connectHttp2 }) => {
      const session = await connectHttp2();
      const stream = session.request({ ':path': '/' });
      const far = await target.next();
      const hints = once(stream, 'headers');
      await far.send('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n');
      const [hint] = await within('the hint', hints);
      assert.deepEqual([hint[':status'], hint.link], [103, '</a.css>; rel=preload']);
      const answered = once(stream, 'response');
      await far.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      const [headers] = await within('the answer', answered);
      assert.equal(headers[':status'], 200);
    }));

  test('Expect: 100-continue is answered by the target, and only then does the body go', () =>
    withTarget(async ({ target, connect }) => {
      const visitor = await connect();
      await visitor.send(`${CHUNKED_POST}Expect: 100-continue\r\n\r\n`);
      const far = await target.next();
      const head = await far.receivedText('\r\n\r\n');
      assert.match(head, /^expect: 100-continue$/im);
      assert.equal(visitor.length, 0, 'nobody but the target may say 100');
      await far.send('HTTP/1.1 100 Continue\r\n\r\n');
      await visitor.receivedText('HTTP/1.1 100 Continue\r\n\r\n');
      await visitor.send('5\r\nhello\r\n0\r\n\r\n');
      await far.receivedText('5\r\nhello\r\n0\r\n\r\n');
      await far.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      await visitor.receivedText('HTTP/1.1 200 OK');
    }));

  test('a refusal in the place of 100 Continue reaches the visitor, without a body ever sent', () =>
    withTarget(async ({ target, connect }) => {
      const visitor = await connect();
      await visitor.send(`${CHUNKED_POST}Expect: 100-continue\r\n\r\n`);
      const far = await target.next();
      await far.receivedText('\r\n\r\n');
      await far.send('HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      far.fin();
      await visitor.receivedText('HTTP/1.1 413 Too Much');
    }));
});

describe('trailers', () => {
  test('of a request reach the target', () =>
    withTarget(async ({ target, connect }) => {
      const visitor = await connect();
      await visitor.send(`${CHUNKED_POST}Trailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n`);
      const far = await target.next();
      await far.receivedText('2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n');
      await far.send('HTTP/1.1 204 No Content\r\n\r\n');
      await visitor.receivedText('\r\n\r\n');
    }));

  test('of an answer reach an HTTP/1.1 visitor', () =>
    withTarget(async ({ target, connect }) => {
      const visitor = await connect();
      await visitor.send('GET / HTTP/1.1\r\nHost: www.example.com\r\nTE: trailers\r\n\r\n');
      const far = await target.next();
      assert.match(await far.receivedText('\r\n\r\n'), /^te: trailers$/im);
      await far.send(
        'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n',
      );
      const text = await visitor.receivedText('X-Sum: 42\r\n\r\n');
      assert.match(text, /\r\nTrailer: X-Sum\r\n/);
      assert.match(text, /0\r\n$/);
    }));

  test('of an answer that looks like gRPC reach an HTTP/2 visitor', () =>
    withTarget(async ({ target, connectHttp2 }) => {
      const session = await connectHttp2();
      const stream = session.request({
        ':method': 'POST',
        ':path': '/pkg.Service/Call',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.end(Buffer.from([0, 0, 0, 0, 2, 1, 2]));
      const far = await target.next();
      const head = await far.receivedText('\r\n\r\n');
      assert.match(head, /^POST \/pkg\.Service\/Call HTTP\/1\.1\r\n/);
      assert.match(head, /^te: trailers$/im);
      await far.receivedText('0\r\n\r\n');
      const [trailers, body] = [once(stream, 'trailers'), stream.toArray()];
      const fields =
        'Content-Type: application/grpc\r\nTrailer: grpc-status, grpc-message\r\nTransfer-Encoding: chunked';
      await far.send(
        `HTTP/1.1 200 OK\r\n${fields}\r\n\r\n5\r\nreply\r\n0\r\ngrpc-status: 0\r\ngrpc-message: fine\r\n\r\n`,
      );
      const [sent] = await within('the trailers', trailers);
      assert.deepEqual([sent['grpc-status'], sent['grpc-message']], ['0', 'fine']);
      assert.equal(Buffer.concat(await within('the body', body)).toString(), 'reply');
    }));
});

test('a DELETE, an OPTIONS and a GET with a body of unknown length are framed on their way from HTTP/2', () =>
  withTarget(async ({ target, connectHttp2 }) => {
    for (const method of ['DELETE', 'OPTIONS', 'GET']) {
      const session = await connectHttp2();
      const stream = session.request({ ':method': method, ':path': '/' }, { endStream: false });
      stream.end('GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n');
      const far = await target.next();
      const head = await far.receivedText('\r\n\r\n');
      assert.match(head, /^transfer-encoding: chunked$/im);
      await far.receivedText('\r\n0\r\n\r\n');
      const answered = once(stream, 'response');
      await far.send('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n');
      far.fin();
      await within('the answer', answered);
    }
  }));

test('a visitor that speaks HTTP/1.0 gets an answer that it can read', () =>
  withTarget(async ({ target, connect }) => {
    const visitor = await connect();
    await visitor.send('GET / HTTP/1.0\r\nHost: www.example.com\r\n\r\n');
    const far = await target.next();
    await far.receivedText('\r\n\r\n');
    await far.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n');
    assert.equal((await within('the end', visitor.ending)).verdict, 'clean');
    const [head, body] = visitor.text.split('\r\n\r\n');
    assert.doesNotMatch(head ?? '', /transfer-encoding/i);
    assert.equal(body, 'hi');
  }));

test('a kept connection carries 200 requests, one after the other', async () => {
  const server = http.createServer((request, response) => response.end(request.url));
  await using stack = new AsyncDisposableStack();
  stack.defer(closerOf(server));
  await withTunnel({ target: await listenOn(server) }, async ({ frontDoor }) => {
    const visitor = await connectPeer(frontDoor, { tls: true });
    for (let count = 0; count < 200; count += 1) {
      await visitor.send(`GET /${count} HTTP/1.1\r\nHost: www.example.com\r\n\r\n`);
      const head = await visitor.receivedText(`\r\n\r\n/${count}`);
      visitor.drop(head.length + 4 + `/${count}`.length);
    }
    visitor.close();
  });
});
