import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http from 'node:http';
import { after, before, describe, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { testAuthority } from '../support/certificates.ts';
import { listenOn } from '../support/listen-on.ts';
import { connectPeer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { agreeToUpgrade, askForHttp2WebSocket, askForUpgrade, readSwitch } from '../support/upgrade.ts';
import { openTunnel, type Tunnel, withTunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

describe('a WebSocket of a real client and a real server', () => {
  let target: http.Server;
  let sockets: WebSocketServer;
  let tunnel: Tunnel;

  before(async () => {
    target = http.createServer((_request, response) => response.writeHead(404).end());
    sockets = new WebSocketServer({ server: target, handleProtocols: () => 'chat', perMessageDeflate: true });
    sockets.on('connection', (socket, request) => {
      socket.send(`hello ${request.url}`);
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    tunnel = await openTunnel({ target: await listenOn(target) });
  });
  after(async () => {
    await tunnel?.close();
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
    target.close();
  });

  function connect(path: string): WebSocket {
    const options: ClientOptions & ConnectionOptions = {
      ca: testAuthority().cert,
      servername: 'www.example.com',
      headers: { host: 'www.example.com' },
    };
    return new WebSocket(`wss://127.0.0.1:${tunnel.frontDoor}${path}`, ['chat', 'other'], options);
  }

  test('opens, keeps its subprotocol, and gets what the server said first', async () => {
    const socket = connect('/room?a=%2525');
    const [greeting] = await within('a greeting', once(socket, 'message'));
    assert.equal(String(greeting), 'hello /room?a=%2525');
    assert.equal(socket.protocol, 'chat');
    socket.terminate();
  });

  test('carries text and binary messages of any size, both ways, in order', async () => {
    const socket = connect('/');
    await within('a greeting', once(socket, 'message'));
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 3_000_000]) {
      const sent = Buffer.alloc(size, 'binary ');
      const echoed = once(socket, 'message');
      socket.send(sent);
      const [data, isBinary] = await within(`the echo of ${size} bytes`, echoed);
      assert.ok(isBinary);
      assert.ok(sent.equals(data as Buffer));
    }
    socket.terminate();
  });

  test('closes with the code and the reason that either side gave', async () => {
    const one = connect('/');
    await within('a greeting', once(one, 'message'));
    const [server] = sockets.clients;
    assert.ok(server);
    const closedAtServer = once(server, 'close');
    one.close(4_001, 'visitor is done');
    const [code, reason] = await within('the close at the server', closedAtServer);
    assert.deepEqual([code, String(reason)], [4_001, 'visitor is done']);

    const two = connect('/');
    await within('a greeting', once(two, 'message'));
    const closedAtVisitor = once(two, 'close');
    for (const socket of sockets.clients) socket.close(4_002, 'server is done');
    const [code2, reason2] = await within('the close at the visitor', closedAtVisitor);
    assert.deepEqual([code2, String(reason2)], [4_002, 'server is done']);
  });

  test('pings and pongs pass, so that an idle one can be kept alive', async () => {
    const socket = connect('/');
    await within('a greeting', once(socket, 'message'));
    const pong = once(socket, 'pong');
    socket.ping('are you there');
    assert.equal(String((await within('a pong', pong))[0]), 'are you there');
    socket.terminate();
  });
});

test(
  'an idle WebSocket outlives every time-out that requests have',
  undisturbed(async () => {
    await using target = await startRawTarget();
    const timeouts = { idleTimeoutMs: 200, readTimeoutMs: 200, writeTimeoutMs: 200 };
    const agent = { readTimeoutMs: 200, writeTimeoutMs: 200 };
    await withTunnel({ target: target.port, server: timeouts, agent }, async ({ frontDoor }) => {
      // On a connection that was kept after a request.
      const visitor = await connectPeer(frontDoor, { tls: true });
      await visitor.send('GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
      const first = await target.next();
      await first.receivedText('\r\n\r\n');
      await first.send('HTTP/1.1 204 No Content\r\n\r\n');
      visitor.drop((await visitor.receivedText('\r\n\r\n')).length + 4);
      await askForUpgrade(visitor, 'websocket');
      const far = await target.next();
      await agreeToUpgrade(far);
      await readSwitch(visitor);
      // Requests that come later meet their time-outs.
      const [slow, unanswered] = [
        await connectPeer(frontDoor, { tls: true }),
        await connectPeer(frontDoor, { tls: true }),
      ];
      await slow.send('GET / HTTP/1.1\r\n');
      await unanswered.send('GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
      await slow.receivedText('HTTP/1.1 408 ');
      await unanswered.receivedText('HTTP/1.1 504 ');
      await within('the end of an idle connection', unanswered.ending);
      await visitor.send('still here');
      await far.received(10);
      await far.send('so am I');
      await visitor.received(7);
      visitor.close();
    });
  }),
);

describe('bytes sent together with a switch', () => {
  let target: RawTarget;
  let tunnel: Tunnel;
  before(async () => {
    target = await startRawTarget();
    tunnel = await openTunnel({ target: target.port });
  });
  after(async () => {
    await tunnel?.close();
    await target.close();
  });

  test('by the target, behind its 101, reach an HTTP/1.1 visitor', async () => {
    const visitor = await connectPeer(tunnel.frontDoor, { tls: true });
    await askForUpgrade(visitor);
    const far = await target.next();
    const request = await agreeToUpgrade(far, 'at once');
    assert.match(request, /^GET \/upgrade HTTP\/1\.1\r\n/);
    assert.match(request, /^connection: .*upgrade/im);
    await readSwitch(visitor);
    await visitor.received(7);
    assert.equal(visitor.text, 'at once');
    visitor.close();
  });

  test('by the target, behind its 101, reach an HTTP/2 visitor', async () => {
    const { stream, session, peer } = await askForHttp2WebSocket(tunnel.frontDoor);
    const far = await target.next();
    const answered = once(stream, 'response');
    const request = await agreeToUpgrade(far, 'at once');
    assert.match(request, /^GET \/upgrade HTTP\/1\.1\r\n/);
    assert.match(request, /^sec-websocket-version: 13$/im);
    assert.equal((await within('the answer', answered))[0][':status'], 200);
    await peer.received(7);
    assert.equal(peer.text, 'at once');
    await peer.send('and back');
    await far.received(8);
    session.destroy();
  });

  test('by a visitor who is too early wait for the 101 and are not lost', async () => {
    const visitor = await connectPeer(tunnel.frontDoor, { tls: true });
    const head = 'GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: Upgrade\r\nUpgrade: backdial-test\r\n\r\n';
    await visitor.send(`${head}early`);
    const far = await target.next();
    const request = await far.receivedText('\r\n\r\n');
    far.drop(request.length + 4);
    assert.equal(far.length, 0, 'nothing is relayed before the target agreed');
    await far.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: backdial-test\r\n\r\n');
    await far.received(5);
    assert.equal(far.text, 'early');
    visitor.close();
  });

  test('a target that declines an upgrade answers as it would any other request', async () => {
    const visitor = await connectPeer(tunnel.frontDoor, { tls: true });
    await askForUpgrade(visitor);
    const far = await target.next();
    await far.receivedText('\r\n\r\n');
    await far.send('HTTP/1.1 426 Upgrade Required\r\nUpgrade: HTTP/3\r\nContent-Length: 2\r\n\r\nno');
    assert.match(await visitor.receivedText('\r\n\r\nno'), /^HTTP\/1\.1 426 Upgrade Required/);
    visitor.close();
  });
});
