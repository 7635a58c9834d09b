import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import test from 'node:test';
import { type HttpsWayKit, withHttpsWay } from '../support/https-way.ts';
import { Inbox } from '../support/inbox.ts';
import { connectPeer } from '../support/raw-target.ts';
import { connectWire } from '../support/sockets.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { eventually, within } from '../support/within.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('an HTTP/2 request becomes an HTTP/1.1 one, and its response comes back', async () => {
  await withHttpsWay({}, async (kit) => {
    const { request, close } = await http2Visitor(kit);
    const stream = request([
      ':path',
      '//a%2525/../b;c',
      'x-b',
      '1',
      'x-a',
      '2',
      'x-b',
      '3',
      'cookie',
      'a=1',
      'te',
      'trailers',
      'cookie',
      'b=2',
    ]);
    const to = await kit.target.next();
    const asked = (await to.receivedText('\r\n\r\n')).replace(/[0-9a-f-]{36}/, 'UUID');
    assert.deepEqual(asked.split('\r\n'), [
      'GET //a%2525/../b;c HTTP/1.1',
      'Host: www.example.com',
      'x-b: 1',
      'x-a: 2',
      'x-b: 3',
      'cookie: a=1; b=2',
      'X-Forwarded-For: 127.0.0.1',
      'X-Forwarded-Host: www.example.com',
      'X-Forwarded-Port: 443',
      'X-Forwarded-Proto: https',
      'X-Transaction-Id: UUID',
      'Via: 2 front.example.net',
      'TE: trailers',
      'Connection: TE',
    ]);
    await to.send(
      'HTTP/1.1 218 Odd\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nVary: A\r\nVARY: B\r\nX-Latin: \xe4\r\nContent-Type: a\r\n' +
        'Content-Type: b\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\nAlt-Svc: h3\r\nTransfer-Encoding: chunked\r\n' +
        'Trailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nx-sum: 8\r\n\r\n',
    );
    const { raw, body, trailers } = await stream;
    assert.deepEqual(
      raw.map((text, i) => (raw[i - 1] === 'x-transaction-id' ? 'UUID' : text)),
      [
        ...[':status', '218', 'set-cookie', 'a=1', 'set-cookie', 'b=2', 'vary', 'A', 'vary', 'B', 'x-latin', 'Ã¤'],
        ...['content-type', 'a', 'content-type', 'b', 'trailer', 'X-Sum', 'x-transaction-id', 'UUID'],
      ],
    );
    assert.equal(body, 'ok');
    assert.deepEqual(trailers, ['x-sum', '7', 'x-sum', '8']);
    const { status, reason, out, method, path } = await kit.record();
    assert.deepEqual(
      { status, reason, out, method, path },
      { status: 218, reason: 'done', out: 2, method: 'GET', path: '//a%2525/../b;c' },
    );
    close();
  });
});

test('bodies of HTTP/2 are framed: by their length, else in chunks, with trailers; none is said to be none', async () => {
  await withHttpsWay({}, async (kit) => {
    const { session, request, close } = await http2Visitor(kit);
    const answered = request([':method', 'POST', ':path', '/none']);
    const to = await kit.target.next();
    assert.match(await to.receivedText('\r\n\r\n'), /\r\nContent-Length: 0\r\n/);
    await to.send(OK);
    await answered;
    const chunked = session.request(
      { ':method': 'DELETE', ':path': '/chunked', ':authority': 'www.example.com' },
      { waitForTrailers: true, endStream: false },
    );
    chunked.on('error', () => {});
    chunked.on('wantTrailers', () => chunked.sendTrailers({ 'x-sum': '1', host: 'evil' }));
    chunked.write('abc');
    await to.receivedText('\r\n3\r\nabc\r\n');
    chunked.end();
    await to.receivedText('\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n');
    assert.match(to.text, /DELETE \/chunked HTTP\/1\.1\r\n.*\r\nTransfer-Encoding: chunked\r\n/s);
    await to.send(OK);
    await kit.record(2);
    const known = session.request({
      ':method': 'PUT',
      ':path': '/known',
      ':authority': 'www.example.com',
      'content-length': 3,
    });
    known.on('error', () => {});
    known.end('abc');
    assert.match(await to.receivedText('\r\n\r\nabc'), /PUT \/known HTTP\/1\.1\r\n.*\r\ncontent-length: 3\r\n/s);
    await to.send(OK);
    await kit.record(3);
    assert.equal(kit.target.peers.length, 1);
    close();
  });
});

test('a body that is complete before a stream to the target is open, be it empty, is sent with its trailers', async () => {
  await withHttpsWay({}, async (kit) => {
    const { session, close } = await http2Visitor(kit);
    const { carrier } = kit;
    const open = carrier.open.bind(carrier);
    for (const [body, sent] of [
      ['', '0\r\nx-sum: 1\r\n\r\n'],
      ['abc', '3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n'],
    ] as const) {
      const opening = Promise.withResolvers<void>();
      const mayOpen = Promise.withResolvers<void>();
      carrier.open = async (...wanted) => {
        opening.resolve();
        await mayOpen.promise;
        return open(...wanted);
      };
      const stream = session.request(
        { ':method': 'POST', ':path': '/early', ':authority': 'www.example.com' },
        { waitForTrailers: true, endStream: false },
      );
      stream.on('error', () => {});
      const ended = once(stream, 'wantTrailers');
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }));
      stream.end(body);
      await within('the end of the request', Promise.all([ended, opening.promise]));
      // The answer to a PING comes behind what was sent before it.
      await new Promise<void>((resolve) => session.ping(() => resolve()));
      mayOpen.resolve();
      const to = await kit.target.next();
      await to.receivedText(`\r\n\r\n${sent}`);
      await to.send(OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
      await within('the answer', once(stream, 'response'));
      stream.resume();
    }
    close();
  });
});

test('interim responses pass to HTTP/2 visitors', async () => {
  await withHttpsWay({}, async (kit) => {
    const { session, close } = await http2Visitor(kit);
    const stream = session.request({ ':path': '/', ':authority': 'www.example.com' });
    const hints: http2.IncomingHttpHeaders[] = [];
    stream.on('headers', (headers) => hints.push(headers));
    const answered = new Promise((resolve) => stream.once('response', resolve));
    const to = await kit.target.next();
    await to.receivedText('\r\n\r\n');
    await to.send(
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\nConnection: x\r\nContent-Length: 5\r\n\r\n${OK}`,
    );
    stream.on('error', () => {});
    await within('an answer', answered);
    assert.equal(hints.length, 1);
    // A length that no interim response may have would make the visitor cut the stream.
    assert.equal(hints[0]?.['content-length'], undefined);
    assert.equal(hints[0]?.[':status'], 103);
    assert.equal(hints[0]?.link, '</a>, </b>');
    close();
  });
});

test('HEAD, 204 and 304 end with their head', async () => {
  await withHttpsWay({}, async (kit) => {
    const { request, close } = await http2Visitor(kit);
    const to = kit.target.next();
    for (const [count, [method, response, length]] of (
      [
        ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n', '50'],
        ['GET', 'HTTP/1.1 204 None\r\n\r\n', undefined],
        ['GET', 'HTTP/1.1 304 Same\r\nContent-Length: 50\r\n\r\n', '50'],
      ] as const
    ).entries()) {
      const answered = request([':method', method, ':path', `/${count}`]);
      await (await to).receivedText(`${method} /${count} `);
      await (await to).send(response);
      const { raw, body } = await answered;
      assert.equal(raw[raw.indexOf('content-length') + 1] === '50' ? '50' : undefined, length);
      assert.equal(body, '');
      assert.equal((await kit.record(count + 1)).reason, 'done');
    }
    close();
  });
});

test('many streams of one session run at once, each on a connection of its own to the target', async () => {
  await withHttpsWay({}, async (kit) => {
    const { request, close } = await http2Visitor(kit);
    const answers = Array.from({ length: 20 }, (_, i) => request([':path', `/${i}`]));
    for (let i = 0; i < 20; i += 1) {
      const to = await kit.target.next();
      const path = /GET (\S+) /.exec(await to.receivedText('\r\n\r\n'))?.[1] ?? '';
      await to.send(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
    }
    const bodies = (await Promise.all(answers)).map(({ body }) => body);
    assert.deepEqual(
      bodies,
      Array.from({ length: 20 }, (_, i) => `/${i}`),
    );
    close();
  });
});

test('refusals: a bad head is 400, too many lines 431, an unknown domain the stealth answer, and the session lives on', async () => {
  const options = { domain: { maxBodyBytes: 10 }, server: { maxHeaderBytes: 8_192 } };
  await withHttpsWay(options, async (kit) => {
    const { session, request, close } = await http2Visitor(kit);
    const statusOf = async (raw: string[]): Promise<string | undefined> => (await request(raw)).raw[1];
    assert.equal(await statusOf([':path', '/a#b']), '400');
    assert.equal(await statusOf([':path', '/', ':scheme', 'http']), '400');
    assert.equal(await statusOf([':path', '/', 'host', 'x.example.com']), '400');
    for (const length of [101, 1_000]) {
      const lines = Array.from({ length }, (_, i) => [`x-${i}`, '1']);
      assert.equal(await statusOf([':path', '/', ...lines.flat()]), '431');
    }
    assert.equal(await statusOf([':path', '/', 'x', 'y'.repeat(9_000)]), '431');
    const long = Array.from({ length: 20 }, (_, i) => [`x-${i}`, 'a'.repeat(10_000)]);
    assert.equal(await statusOf([':path', '/', ...long.flat()]), '431');
    assert.equal(kit.records.at(-1)?.reason, 'headers-too-large');
    assert.equal(await statusOf([':method', 'TRACE', ':path', '/']), '405');
    const unknown = await request([':path', '/', ':authority', 'unknown.example.com']);
    assert.equal(unknown.raw[1], '404');
    assert.equal(unknown.body, '404 Not Found\n');
    assert.ok(!unknown.raw.includes('proxy-status'));
    const upload = session.request({
      ':method': 'POST',
      ':path': '/',
      ':authority': 'www.example.com',
      'content-length': 1_000_000,
    });
    const head = new Promise<http2.IncomingHttpHeaders>((resolve) => upload.once('response', resolve));
    const inbox = new Inbox(upload);
    const ending = new Promise<number | undefined>((resolve) => upload.once('close', () => resolve(upload.rstCode)));
    upload.on('error', () => {});
    upload.write(Buffer.alloc(100_000));
    assert.equal((await within('an answer', head))[':status'], 413);
    await inbox.receivedText('body-too-large');
    assert.equal(await within('the end of the stream', ending), http2.constants.NGHTTP2_NO_ERROR);
    assert.equal(kit.target.peers.length, 0);
    assert.equal(session.destroyed, false);
    close();
  });
});

test('what ends a whole session is recorded with its reason: a head of more than 144 kB, and bytes that are no HTTP/2', async () => {
  await withHttpsWay({}, async (kit) => {
    const { session, close } = await http2Visitor(kit);
    const long = Array.from({ length: 30 }, (_, i) => [`x-${i}`, 'a'.repeat(10_000)]);
    const stream = session.request([':method', 'GET', ':path', '/', ':authority', 'www.example.com', ...long.flat()]);
    stream.on('error', () => {});
    await within('the end of the session', once(session, 'close'));
    const peer = await connectPeer(kit.port, { tls: true, alpn: ['h2'] });
    await peer.send('GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
    await peer.ending;
    await kit.record(2);
    assert.deepEqual(
      kit.records.map(({ reason, status, method }) => ({ reason, status, method })),
      [
        { reason: 'headers-too-large', status: null, method: null },
        { reason: 'request-invalid', status: null, method: null },
      ],
    );
    close();
    peer.close();
  });
});

test('an upload that was answered in full is recorded as done; one whose visitor cancels before the last byte is not', async () => {
  await withHttpsWay({}, async (kit) => {
    const { session, close } = await http2Visitor(kit);
    const upload = (path: string): http2.ClientHttp2Stream => {
      const stream = session.request({ ':method': 'POST', ':path': path, ':authority': 'www.example.com' });
      stream.on('error', () => {});
      return stream.end('abc');
    };
    const answers = [
      OK,
      'HTTP/1.1 204 No Content\r\n\r\n',
      `HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n${'x'.repeat(9_000)}`,
    ];
    const first = upload('/0');
    const to = await kit.target.next();
    for (const [i, answer] of answers.entries()) {
      const stream = i === 0 ? first : upload(`/${i}`);
      await to.receivedText(`POST /${i} `);
      await to.receivedText('abc\r\n0\r\n\r\n');
      stream.resume();
      await to.send(answer);
      const { path, reason } = await kit.record(i + 1);
      assert.deepEqual({ path, reason }, { path: `/${i}`, reason: 'done' });
    }
    const cancelled = upload('/cancelled');
    await to.receivedText('/cancelled');
    // The visitor reads none of it: the kernel may or may not take it all.
    const sent = to.send(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1_000_000)}`).catch(() => {});
    await new Promise((resolve) => cancelled.once('response', resolve));
    cancelled.close(http2.constants.NGHTTP2_NO_ERROR);
    assert.equal((await kit.record(answers.length + 1)).reason, 'visitor-reset');
    await sent;
    close();
  });
});

test('a visitor that takes an early answer and leaves in mid-upload is recorded at once, and holds no stream', async () => {
  await withHttpsWay({}, async (kit) => {
    const { session, close } = await http2Visitor(kit);
    const upload = session.request({ ':method': 'POST', ':path': '/', ':authority': 'www.example.com' });
    upload.on('error', () => {});
    upload.write('abc');
    const to = await kit.target.next();
    await to.receivedText('abc');
    await to.send('HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno');
    upload.resume();
    await within('the end of the answer', new Promise((resolve) => upload.once('end', resolve)));
    close();
    const { status, reason } = await kit.record();
    assert.deepEqual({ status, reason }, { status: 413, reason: 'done' });
    assert.equal((await to.ending).verdict, 'reset');
  });
});

test(
  'a session that says nothing is closed after the read time-out; one without streams after the idle time-out',
  undisturbed(async () => {
    await withHttpsWay({ server: { readTimeoutMs: 150, idleTimeoutMs: 250 } }, async (kit) => {
      const silent = await http2Visitor(kit);
      await within('the end of the silent session', new Promise((resolve) => silent.session.once('close', resolve)));
      assert.ok(kit.events.some((event) => event.type === 'connection-refused' && event.reason === 'request-timeout'));
      const { session, request, close } = await http2Visitor(kit);
      const answered = request([':path', '/slow']);
      const to = await kit.target.next();
      await to.receivedText('\r\n\r\n');
      const beside = request([':path', '/beside']);
      await (await kit.target.next()).send(OK.replace('\r\n', '\r\nConnection: close\r\n'));
      assert.equal((await beside).body, 'ok');
      // One that is without streams from now on is closed first.
      const idle = await http2Visitor(kit);
      const closedIdle = new Promise((resolve) => idle.session.once('close', resolve));
      const quick = idle.request([':path', '/quick']);
      await (await kit.target.next()).send(OK);
      assert.equal((await quick).body, 'ok');
      await within('the end of a session without streams', closedIdle);
      assert.equal(session.destroyed, false, 'a stream is open');
      const closed = new Promise((resolve) => session.once('close', resolve));
      await to.send(OK);
      assert.equal((await answered).body, 'ok');
      await within('the end of the idle session', closed);
      close();
    });
  }),
);

test(
  'a visitor that takes nothing of an answer, not even of a refusal, is cut after the write time-out',
  undisturbed(async () => {
    const server = { writeTimeoutMs: 150, idleTimeoutMs: 150 };
    await withHttpsWay({ server }, async ({ port, way }) => {
      const { stream: socket } = await connectWire(port, { tls: true, alpn: ['h2'], halfOpen: false });
      const session = http2.connect('https://www.example.com', {
        createConnection: () => socket,
        settings: { initialWindowSize: 0 },
      });
      session.on('error', () => {});
      const stream = session.request({ ':path': '/', ':authority': 'unknown.example.com' });
      stream.on('error', () => {});
      const closed = new Promise((resolve) => stream.once('close', resolve));
      const [head] = await within('an answer', once(stream, 'response'));
      assert.equal((head as http2.IncomingHttpHeaders)[':status'], 404);
      await within('the end of the stream', closed);
      await eventually('the connection is over', () => way.connectionCount === 0);
    });
  }),
);

test(
  'a visitor that does not close its connection is no visitor any more',
  undisturbed(async () => {
    const server = { readTimeoutMs: 100, idleTimeoutMs: 100 };
    await withHttpsWay({ server }, async ({ port, way }) => {
      // Half-open: it answers no FIN with its own.
      const silent = await connectPeer(port, { tls: true, alpn: ['h2'] });
      await eventually('the connection is over', () => way.connectionCount === 0);
      silent.close();
    });
  }),
);

interface Answered {
  readonly raw: string[];
  readonly body: string;
  readonly trailers: string[];
}

interface Http2Visitor {
  readonly session: http2.ClientHttp2Session;
  /** A request without a body, from raw pairs on top of the usual ones; its answer, once complete. */
  request(raw: string[]): Promise<Answered>;
  close(): void;
}

async function http2Visitor({ port }: HttpsWayKit): Promise<Http2Visitor> {
  const { stream: socket, raw: rawSocket } = await connectWire(port, { tls: true, alpn: ['h2'], halfOpen: false });
  const session = http2.connect('https://www.example.com', {
    createConnection: () => socket,
    maxSendHeaderBlockLength: 1_000_000,
  });
  session.on('error', () => {});
  const request = (given: string[]): Promise<Answered> => {
    const names = given.filter((_, i) => i % 2 === 0);
    const usual = [':method', 'GET', ':scheme', 'https', ':authority', 'www.example.com'];
    const missing = usual.filter((_, i) => !names.includes(usual[i - (i % 2)] ?? ''));
    const stream = session.request([...missing, ...given], { endStream: true });
    const answer: { raw: string[]; body: string; trailers: string[] } = { raw: [], body: '', trailers: [] };
    const over = new Promise<Answered>((resolve, reject) => {
      stream.on('error', reject);
      stream.on('response', (_headers, _flags, raw?: string[]) => {
        answer.raw = raw ?? [];
      });
      stream.on('trailers', (_headers, _flags, raw?: string[]) => {
        answer.trailers = raw ?? [];
      });
      stream.on('data', (chunk: Buffer) => {
        answer.body += chunk.toString('latin1');
      });
      stream.on('end', () => resolve(answer));
    });
    return within(`the answer to ${given.slice(0, 4).join(' ')}`, over);
  };
  return {
    session,
    request,
    close: () => {
      session.destroy();
      rawSocket.destroy();
    },
  };
}
