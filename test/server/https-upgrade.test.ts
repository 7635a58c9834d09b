import assert from 'node:assert/strict';
import * as http2 from 'node:http2';
import test from 'node:test';
import { webSocketAccept } from '../../src/net/websocket-bridge.ts';
import { type HttpsWayKit, withHttpsWay } from '../support/https-way.ts';
import { Inbox } from '../support/inbox.ts';
import type { Peer } from '../support/raw-target.ts';
import { connectWire } from '../support/sockets.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { within } from '../support/within.ts';

const HOST = 'Host: www.example.com\r\n';
const ASK = `GET /ws HTTP/1.1\r\n${HOST}Connection: keep-alive, Upgrade\r\nUpgrade: Echo\r\nSec-WebSocket-Key: abc\r\n\r\n`;
const SWITCH = 'HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: Upgrade\r\nX-B: 1\r\nx-a: 2\r\n\r\n';

async function upgraded({ visitor, target }: HttpsWayKit, early = ''): Promise<{ from: Peer; to: Peer }> {
  const from = await visitor();
  await from.send(ASK + early);
  const to = await target.next();
  await to.receivedText('\r\n\r\n');
  return { from, to };
}

test('an upgrade is asked for, answered and carried byte for byte', async () => {
  await withHttpsWay({}, async (kit) => {
    const { from, to } = await upgraded(kit);
    const asked = to.text.split('\r\n');
    assert.deepEqual(asked.slice(0, 3), ['GET /ws HTTP/1.1', 'Host: www.example.com', 'Sec-WebSocket-Key: abc']);
    assert.deepEqual(asked.slice(-4), ['Connection: Upgrade', 'Upgrade: Echo', '', '']);
    await to.send(`${SWITCH}early`);
    await from.receivedText('early');
    assert.match(
      from.text,
      /^HTTP\/1\.1 101 Switching\r\nX-B: 1\r\nx-a: 2\r\nX-Transaction-Id: [0-9a-f-]{36}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly$/,
    );
    await from.send(Buffer.from([0, 255, 13, 10, 32, 104, 105]));
    await to.receivedText('\x00\xff\r\n hi');
    // Half-close passes both ways.
    from.fin();
    assert.equal((await to.ending).verdict, 'clean');
    await to.send('bye');
    to.fin();
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /earlybye$/);
    const { status, reason, in: bytesIn, out, path } = await kit.record();
    assert.deepEqual(
      { status, reason, bytesIn, out, path },
      { status: 101, reason: 'done', bytesIn: 7, out: 8, path: '/ws' },
    );
  });
});

test('bytes that come with the request wait for the 101 of the target', async () => {
  await withHttpsWay({}, async (kit) => {
    const { from, to } = await upgraded(kit, 'too early');
    assert.match(to.text, /\r\n\r\n$/);
    await to.send(SWITCH);
    await to.receivedText('too early');
    assert.equal(to.text.split('\r\n\r\n')[1], 'too early');
    from.close();
  });
});

for (const [side, other] of [
  ['from', 'to'],
  ['to', 'from'],
] as const) {
  test(`after the switch a reset ${side === 'from' ? 'of the visitor' : 'of the target'} is a reset for the other`, async () => {
    await withHttpsWay({}, async (kit) => {
      const peers = await upgraded(kit);
      await peers.to.send(SWITCH);
      await peers.from.receivedText('\r\n\r\n');
      peers[side].reset();
      assert.equal((await peers[other].ending).verdict, 'reset');
      const { reason, status } = await kit.record();
      assert.deepEqual({ reason, status }, { reason: side === 'from' ? 'visitor-reset' : 'target-lost', status: 101 });
    });
  });
}

test('a target that does not switch is answered as it says, and the connection ends', async () => {
  await withHttpsWay({}, async (kit) => {
    const { from, to } = await upgraded(kit, 'GET /smuggled HTTP/1.1\r\n\r\n');
    await to.send('HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n');
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /^HTTP\/1\.1 403 Forbidden\r\n.*\r\nConnection: close\r\n.*2\r\nno\r\n0\r\n\r\n$/s);
    assert.doesNotMatch(to.text, /smuggled/);
    const { status, reason, count } = { ...(await kit.record()), count: kit.records.length };
    assert.deepEqual({ status, reason, count }, { status: 403, reason: 'done', count: 1 });
  });
});

test('a visitor that is answered instead of switched is read on, so that it is seen when it leaves', async () => {
  await withHttpsWay({}, async (kit) => {
    const { from, to } = await upgraded(kit, 'early');
    await to.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n');
    await from.receivedText('\r\n\r\n');
    // More than buffers of kernels hold.
    await within('that all is read', from.send(Buffer.alloc(20_000_000)));
    from.reset();
    assert.equal((await kit.record()).reason, 'visitor-reset');
    assert.equal((await to.ending).verdict, 'reset');
    assert.doesNotMatch(to.text, /early/);
  });
});

test('a target that switches to something else is cut: 502', async () => {
  await withHttpsWay({}, async (kit) => {
    const { from, to } = await upgraded(kit);
    await to.send('HTTP/1.1 101 Switching\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\nx');
    assert.equal((await to.ending).verdict, 'reset');
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /^HTTP\/1\.1 502 .*details="upgrade-failed"/s);
    const { status, reason } = await kit.record();
    assert.deepEqual({ status, reason }, { status: 502, reason: 'upgrade-failed' });
  });
});

test(
  'a target that is lost before its 101: 502; one that is silent: 504',
  undisturbed(async () => {
    await withHttpsWay({}, async (kit) => {
      const { from, to } = await upgraded(kit);
      to.reset();
      const again = await kit.target.next();
      await again.receivedText('\r\n\r\n');
      again.reset();
      assert.equal((await from.ending).verdict, 'clean');
      assert.match(from.text, /^HTTP\/1\.1 502 .*details="target-lost"/s);
      kit.carrier.timeouts = { readMs: 100, writeMs: 0 };
      const second = await upgraded(kit);
      assert.equal((await second.from.ending).verdict, 'clean');
      assert.match(second.from.text, /^HTTP\/1\.1 504 .*details="target-silent"/s);
    });
  }),
);

for (const [what, request] of [
  ['brings a body', `POST / HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 3\r\n\r\nabc`],
  ['is of HTTP/1.0', `GET / HTTP/1.0\r\n${HOST}Connection: Upgrade, keep-alive\r\nUpgrade: echo\r\n\r\n`],
] as const) {
  test(`an upgrade that ${what} is an ordinary request, the last of its connection`, async () => {
    await withHttpsWay({}, async ({ visitor, target, records }) => {
      const from = await visitor();
      await from.send(`${request}GET /swallowed HTTP/1.1\r\n${HOST}\r\n`);
      const to = await target.next();
      await to.receivedText(what === 'brings a body' ? '\r\n\r\nabc' : '\r\n\r\n');
      await to.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      assert.equal((await from.ending).verdict, 'clean');
      assert.match(from.text, /\r\nConnection: close\r\n\r\nok$/);
      assert.doesNotMatch(to.text, /Upgrade|swallowed/);
      assert.equal(records.length, 1);
    });
  });
}

test('an upgrade that is pipelined behind a request is an ordinary request, the last of its connection', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`GET /1 HTTP/1.1\r\n${HOST}\r\n${ASK}GET /swallowed HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    for (const [count, line] of ['GET /1', 'GET /ws'].entries()) {
      await to.receivedText(line);
      await to.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      await record(count + 1);
    }
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /\r\n\r\nokHTTP\/1\.1 200 OK\r\n.*\r\nConnection: close\r\n\r\nok$/s);
    assert.doesNotMatch(to.text, /Upgrade|swallowed/);
  });
});

test('the handshake of agents goes to the gate, with the bytes behind it', async () => {
  const taken: string[] = [];
  const onService: Parameters<typeof withHttpsWay>[0]['onService'] = async (request, socket, head, connection) => {
    taken.push(`${request.url} ${head.toString()} ${connection.name}`);
    assert.equal(socket.allowHalfOpen, false, 'a session must close with its connection');
    socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    return true;
  };
  await withHttpsWay({ onService }, async ({ visitor, way, records }) => {
    for (const token of ['ptth', 'h2c-reverse']) {
      const from = await visitor();
      await from.send(
        `GET /.well-known/backdial-agent HTTP/1.1\r\nHost: tunnel.example.com\r\nConnection: Upgrade\r\nUpgrade: ${token}\r\n\r\nhead`,
      );
      await from.receivedText('101 Switching');
      from.close();
    }
    assert.deepEqual(taken, Array(2).fill('/.well-known/backdial-agent head www.example.com'));
    assert.equal(way.connectionCount, 0, 'the connection is no visitor any more');
    assert.equal(records.length, 0);
  });
});

test('RFC 8441: a WebSocket of HTTP/2 becomes an upgrade of HTTP/1.1, with a key of its own', async () => {
  await withHttpsWay({}, async (kit) => {
    const { session, close } = await http2Visitor(kit);
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      ':path': '/chat?x=1',
      ':authority': 'www.example.com',
      'sec-websocket-version': '13',
      // Some clients send one all the same; two keys would leave open which of them the target answers to.
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-protocol': 'a, b',
      origin: 'https://www.example.com',
    });
    const answered = new Promise<http2.IncomingHttpHeaders>((resolve) => stream.once('response', resolve));
    const to = await kit.target.next();
    const asked = await to.receivedText('\r\n\r\n');
    assert.match(asked, /^GET \/chat\?x=1 HTTP\/1\.1\r\nHost: www\.example\.com\r\n/);
    assert.match(
      asked,
      /\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: a, b\r\norigin: https:\/\/www\.example\.com\r\n/,
    );
    assert.match(asked, /\r\nConnection: Upgrade\r\nUpgrade: websocket$/);
    const key = /\r\nSec-WebSocket-Key: ([A-Za-z0-9+/]{22}==)\r\n/.exec(asked)?.[1] ?? '';
    await to.send(
      `HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${webSocketAccept(key)}\r\n` +
        'Sec-WebSocket-Protocol: b\r\n\r\nearly',
    );
    const headers = await within('an answer', answered);
    assert.equal(headers[':status'], 200);
    assert.equal(headers['sec-websocket-protocol'], 'b');
    assert.equal(headers['sec-websocket-accept'], undefined);
    const inbox = new Inbox(stream);
    await inbox.receivedText('early');
    stream.write('hello');
    await to.receivedText('hello');
    stream.end();
    assert.equal((await to.ending).verdict, 'clean');
    to.fin();
    await within('the end of the stream', new Promise((resolve) => stream.once('close', resolve)));
    const { status, reason, method } = await kit.record();
    assert.deepEqual({ status, reason, method }, { status: 101, reason: 'done', method: 'CONNECT' });
    close();
  });
});

test('RFC 8441: a wrong proof of the target is cut; other protocols and a plain CONNECT are refused', async () => {
  await withHttpsWay({}, async (kit) => {
    const { session, close } = await http2Visitor(kit);
    const ask = (more: http2.OutgoingHttpHeaders): Promise<number> => {
      const stream = session.request({ ':method': 'CONNECT', ':authority': 'www.example.com', ...more });
      stream.on('error', () => {});
      return within(
        'an answer',
        new Promise((resolve) => stream.once('response', (head) => resolve(Number(head[':status'])))),
      );
    };
    const websocket = { ':protocol': 'websocket', ':scheme': 'https', ':path': '/' };
    const wrong = ask(websocket);
    const to = await kit.target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n');
    assert.equal(await wrong, 502);
    assert.equal((await to.ending).verdict, 'reset');
    assert.equal(await ask({ ...websocket, ':protocol': 'connect-udp' }), 405);
    assert.equal(await ask({ ':authority': 'www.example.com:443' }), 405);
    close();
  });
});

async function http2Visitor({ port }: HttpsWayKit): Promise<{ session: http2.ClientHttp2Session; close(): void }> {
  const { stream, raw } = await connectWire(port, { tls: true, alpn: ['h2'], halfOpen: false });
  const session = http2.connect('https://www.example.com', { createConnection: () => stream });
  session.on('error', () => {});
  await within('settings', new Promise((resolve) => session.once('remoteSettings', resolve)));
  return {
    session,
    close: () => {
      session.destroy();
      raw.destroy();
    },
  };
}
