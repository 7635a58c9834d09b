import assert from 'node:assert/strict';
import test from 'node:test';
import { withHttpsWay } from '../support/https-way.ts';
import { eventually } from '../support/within.ts';

const HOST = 'Host: www.example.com\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('the head goes to the target before the body begins', async () => {
  await withHttpsWay({}, async ({ visitor, target }) => {
    const from = await visitor();
    await from.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await from.send('abc');
    assert.match(await to.receivedText('abc'), /\r\nContent-Length: 3\r\n/);
    await to.send(OK);
    await from.receivedText('ok');
    from.close();
  });
});

for (const method of ['DELETE', 'GET', 'OPTIONS', 'HEAD', 'POST']) {
  test(`a chunked body of ${method} stays framed, trailers included`, async () => {
    await withHttpsWay({}, async ({ visitor, target, record }) => {
      const from = await visitor();
      await from.send(
        `${method} / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3;ext\r\nabc\r\n`,
      );
      const to = await target.next();
      await to.receivedText('abc\r\n');
      await from.send('2\r\nde\r\n0\r\nX-Sum: 1\r\nAuthorization: x\r\nX_Bad: 1\r\nHost: evil\r\n\r\n');
      await to.receivedText('X-Sum: 1\r\n\r\n');
      assert.match(to.text, /\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n/);
      assert.match(to.text, /\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n$/);
      await to.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      assert.equal((await record()).in, 5);
      from.close();
    });
  });
}

test('chunks, trailers and their order pass to the visitor', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`GET / HTTP/1.1\r\n${HOST}TE: trailers\r\n\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: B, a\r\n\r\n');
    // The head alone, at once: a long poll must not wait for its first byte.
    await from.receivedText('\r\n\r\n');
    await to.send('3\r\nabc\r\n');
    await from.receivedText('3\r\nabc\r\n');
    await to.send('1\r\nd\r\n0\r\nB: 1\r\na: 2\r\nSet-Cookie: no\r\n\r\n');
    await from.receivedText('0\r\nB: 1\r\na: 2\r\n\r\n');
    assert.match(from.text, /\r\nTrailer: B, a\r\n/);
    assert.match(from.text, /\r\nTransfer-Encoding: chunked\r\n/);
    assert.equal((await record()).out, 4);
    from.close();
  });
});

test('Expect: 100-continue goes to the target, and its 100 comes from there', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n`);
    const to = await target.next();
    assert.match(await to.receivedText('\r\n\r\n'), /\r\nExpect: 100-continue\r\n/);
    assert.equal(from.length, 0, 'no 100 of our own');
    await to.send('HTTP/1.1 100 Continue\r\n\r\n');
    assert.equal(await from.receivedText('\r\n\r\n'), 'HTTP/1.1 100 Continue');
    await from.send('abc');
    await to.receivedText('abc');
    await to.send(OK);
    await record(1);
    await from.receivedText('ok');
    await from.send(`GET /next HTTP/1.1\r\n${HOST}\r\n`);
    await to.receivedText('GET /next');
    from.close();
  });
});

test('a target that refuses an expectation is heard, and the connection ends', async () => {
  await withHttpsWay({}, async ({ visitor, target }) => {
    const from = await visitor();
    await from.send(`POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    assert.match(await from.receivedText('\r\n\r\n'), /^HTTP\/1\.1 417 .*\r\nConnection: close$/s);
    from.close();
  });
});

test('interim responses pass in order, with their fields', async () => {
  await withHttpsWay({}, async ({ visitor, target }) => {
    const from = await visitor();
    await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n');
    await from.receivedText('Link: </b>\r\n\r\n');
    await to.send(OK);
    await from.receivedText('ok');
    assert.match(
      from.text,
      /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\nLink: <\/b>\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
    );
    from.close();
  });
});

test('more than eight interim responses: 502, and the target sees a cut', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(9));
    await from.receivedText('HTTP/1.1 502');
    assert.equal((await to.ending).verdict, 'reset');
    assert.equal((await record()).reason, 'target-invalid');
    from.close();
  });
});

test('an early answer arrives while the body is still being sent, and the rest of the body still reaches the target', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 6\r\n\r\nabc`);
    const to = await target.next();
    await to.receivedText('abc');
    await to.send('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno');
    await from.receivedText('\r\n\r\nno');
    await from.send('def');
    await to.receivedText('abcdef');
    const { status, reason, in: bytesIn } = await record();
    assert.deepEqual({ status, reason, bytesIn }, { status: 413, reason: 'done', bytesIn: 6 });
    // Both connections are as good as new.
    await from.send(`GET /next HTTP/1.1\r\n${HOST}\r\n`);
    await to.receivedText('GET /next');
    from.close();
  });
});

test('an early answer of a target that closes arrives, whatever the visitor still sends', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 1000000\r\n\r\nabc`);
    const to = await target.next();
    await to.receivedText('abc');
    await to.send('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno');
    to.close();
    await from.receivedText('\r\n\r\nno');
    await from.send('x'.repeat(999_997));
    const { status, reason } = await record();
    assert.deepEqual({ status, reason }, { status: 413, reason: 'done' });
    from.close();
  });
});

test('an early answer with Connection: close arrives although the body goes on and on', async () => {
  await withHttpsWay({}, async ({ visitor, target }) => {
    const from = await visitor();
    await from.send(`POST / HTTP/1.1\r\n${HOST}Connection: close\r\nContent-Length: 30000000\r\n\r\nabc`);
    const to = await target.next();
    await to.receivedText('abc');
    await to.send('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno');
    to.close();
    await from.send(Buffer.alloc(29_999_997, 'x'));
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /^HTTP\/1\.1 413 .*\r\n\r\nno$/s);
  });
});

test('both directions stream at once', async () => {
  await withHttpsWay({}, async ({ visitor, target }) => {
    const from = await visitor();
    await from.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (const word of ['one', 'two', 'six']) {
      await from.send(`3\r\n${word}\r\n`);
      await to.receivedText(`3\r\n${word}\r\n`);
      await to.send(`3\r\n${word}\r\n`);
      await from.receivedText(`3\r\n${word}\r\n`);
    }
    from.close();
  });
});

test('a reader that stalls holds up the target, and costs no more than some buffers', async () => {
  await withHttpsWay({}, async ({ visitor, target, carrier }) => {
    const from = await visitor();
    await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    from.stream.pause();
    const size = 64 * 1024 * 1024;
    await to.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    const piece = Buffer.alloc(65_536, 'x');
    for (let sent = 0; sent < size; sent += piece.length) to.stream.write(piece);
    const stream = carrier.opened[0]?.stream;
    await eventually('the stream is paused', () => stream?.isPaused() === true);
    assert.ok((stream?.bytesRead ?? size) < size / 4, `${stream?.bytesRead} bytes were read`);
    from.stream.resume();
    await eventually('all has arrived', () => from.length > size);
    from.close();
  });
});

test('a target that stalls holds up the visitor, and costs no more than some buffers', async () => {
  await withHttpsWay({}, async ({ visitor, target, carrier, record }) => {
    const from = await visitor();
    const size = 48 * 1024 * 1024;
    await from.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${size}\r\n\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    to.stream.pause();
    const piece = Buffer.alloc(65_536, 'x');
    for (let sent = 0; sent < size; sent += piece.length) from.stream.write(piece);
    const stream = carrier.opened[0]?.stream;
    await eventually('bytes wait for the target', () => stream?.writableNeedDrain === true);
    // As much of another visitor goes through meanwhile.
    const other = await visitor();
    await other.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${size}\r\n\r\n`);
    const taking = await target.next();
    for (let sent = 0; sent < size; sent += piece.length) other.stream.write(piece);
    await eventually('all of the other has arrived', () => taking.length > size);
    await taking.send(OK);
    assert.equal((await record()).in, size);
    other.close();
    const waiting = stream?.writableLength ?? 0;
    assert.ok(waiting > 0 && waiting < 1_000_000, `${waiting} bytes wait`);
    to.stream.resume();
    await eventually('all has arrived', () => to.length > size);
    await to.send(OK);
    assert.equal((await record(2)).in, size);
    from.close();
  });
});

test('a visitor that ends its side after its request still gets the answer', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    from.fin();
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send(OK);
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /\r\n\r\nok$/);
    assert.equal((await record()).reason, 'done');
  });
});
