import assert from 'node:assert/strict';
import * as http2 from 'node:http2';
import test from 'node:test';
import { withHttpsWay } from '../support/https-way.ts';
import { connectWire } from '../support/sockets.ts';
import { within } from '../support/within.ts';

const HOST = 'Host: www.example.com\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('draining: idle visitors are closed at once, busy ones get their answer with Connection: close', async () => {
  await withHttpsWay({}, async ({ visitor, target, way }) => {
    const silent = await visitor();
    const idle = await visitor();
    await idle.send(`GET /idle HTTP/1.1\r\n${HOST}\r\n`);
    const first = await target.next();
    await first.receivedText('\r\n\r\n');
    const busy = await visitor();
    await busy.send(`GET /busy HTTP/1.1\r\n${HOST}\r\n`);
    const second = await target.next();
    await second.receivedText('\r\n\r\n');
    await first.send(OK);
    await idle.receivedText('ok');
    way.drain();
    assert.equal((await idle.ending).verdict, 'clean');
    assert.equal((await silent.ending).verdict, 'clean');
    await second.send(OK);
    assert.equal((await busy.ending).verdict, 'clean');
    assert.match(busy.text, /\r\nConnection: close\r\n\r\nok$/);
  });
});

test('the last call: nobody is hung up on, and who asks now is told with the answer that it was the last one there', async () => {
  await withHttpsWay({}, async ({ visitor, target, way }) => {
    const [newcomer, silent] = [await visitor(), await visitor()];
    way.stop();
    await newcomer.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    // Who shook hands while it began.
    const later = await visitor();
    await later.send(`GET /later HTTP/1.1\r\n${HOST}\r\n`);
    const other = await target.next();
    await other.receivedText('\r\n\r\n');
    for (const [asker, answerer] of [[newcomer, to] as const, [later, other] as const]) {
      await answerer.send(OK);
      assert.equal((await asker.ending).verdict, 'clean');
      assert.match(asker.text, /\r\nConnection: close\r\n\r\nok$/);
    }
    await silent.send(`GET / HTTP/1.1\r\nHost: unknown.example.com\r\n\r\n`);
    assert.equal((await silent.ending).verdict, 'clean');
    assert.match(silent.text, /^HTTP\/1\.1 404 .*\r\nConnection: close\r\n/s);
  });
});

test('draining: an answer that has begun is delivered to its end, then the connection closes', async () => {
  await withHttpsWay({}, async ({ visitor, target, way }) => {
    const from = await visitor();
    await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await from.receivedText('abc');
    way.drain();
    await to.send('3\r\ndef\r\n0\r\n\r\n');
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /abc\r\n3\r\ndef\r\n0\r\n\r\n$/);
  });
});

test('draining: HTTP/2 visitors get GOAWAY, their streams finish, idle sessions close', async () => {
  await withHttpsWay({}, async ({ port, target, way }) => {
    const open = async (): Promise<http2.ClientHttp2Session> => {
      const { stream } = await connectWire(port, { tls: true, alpn: ['h2'], halfOpen: false });
      const session = http2.connect('https://www.example.com', { createConnection: () => stream });
      session.on('error', () => {});
      await within('settings', new Promise((resolve) => session.once('remoteSettings', resolve)));
      return session;
    };
    const idle = await open();
    const busy = await open();
    const stream = busy.request({ ':path': '/', ':authority': 'www.example.com' });
    const answered = new Promise<number>((resolve) =>
      stream.once('response', (head) => resolve(Number(head[':status']))),
    );
    const ended = new Promise((resolve) => stream.once('close', resolve));
    stream.resume();
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    const closed = Promise.all([idle, busy].map((session) => new Promise((resolve) => session.once('close', resolve))));
    const goaway = new Promise((resolve) => busy.once('goaway', resolve));
    way.drain();
    await within('GOAWAY', goaway);
    await to.send(OK);
    assert.equal(await within('an answer', answered), 200);
    await within('the end of the stream', ended);
    assert.equal(stream.rstCode, 0);
    await within('the end of both sessions', closed);
  });
});

test('closing: what is still open is reset, and told of', async () => {
  await withHttpsWay({}, async ({ visitor, target, way, record, records }) => {
    const waits = await visitor();
    await waits.send(`GET /1 HTTP/1.1\r\n${HOST}\r\n`);
    const first = await target.next();
    await first.receivedText('\r\n\r\n');
    const joined = await visitor();
    await joined.send(`GET /2 HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: echo\r\n\r\n`);
    const second = await target.next();
    await second.receivedText('\r\n\r\n');
    await second.send('HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
    await joined.receivedText('\r\n\r\n');
    await within('the close', way.close());
    assert.equal(way.connectionCount, 0);
    for (const peer of [waits, joined, first, second]) assert.equal((await peer.ending).verdict, 'reset');
    await record(2);
    assert.deepEqual(new Set(records.map(({ path }) => path)), new Set(['/1', '/2']));
    await way.close();
  });
});
