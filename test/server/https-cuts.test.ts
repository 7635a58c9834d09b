import assert from 'node:assert/strict';
import * as http2 from 'node:http2';
import test from 'node:test';
import { type HttpsWayKit, withHttpsWay } from '../support/https-way.ts';
import type { Peer } from '../support/raw-target.ts';
import { connectWire } from '../support/sockets.ts';
import { within } from '../support/within.ts';

const HOST = 'Host: www.example.com\r\n';

/** How a target can end a connection in the middle of a response. */
const ENDS = {
  FIN: (target: Peer) => target.fin(),
  RST: (target: Peer) => target.reset(),
} as const;

/** Where in a response. The visitor has seen `seen` of it by then. */
const PLACES = [
  { place: 'in the body with Content-Length', sent: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', seen: 'abc' },
  { place: 'in front of the body', sent: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n', seen: '' },
  { place: 'in a chunk', sent: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc', seen: 'abc' },
  { place: 'between chunks', sent: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n', seen: 'abc' },
  {
    place: 'in the last chunk',
    sent: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n',
    seen: 'abc',
  },
  {
    place: 'in the trailers',
    sent: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y',
    seen: 'abc',
  },
] as const;

async function answer(kit: HttpsWayKit, sent: string): Promise<Peer> {
  const to = await kit.target.next();
  await to.receivedText('\r\n\r\n');
  await to.send(sent);
  return to;
}

for (const end of ['FIN', 'RST'] as const) {
  for (const { place, sent, seen } of PLACES) {
    test(`HTTP/1.1: a response that the target cuts by ${end} ${place} is a reset for the visitor (known fault: a clean chunked end after a cut)`, async () => {
      await withHttpsWay({}, async (kit) => {
        const from = await kit.visitor();
        await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
        const to = await answer(kit, sent);
        await from.receivedText(`\r\n\r\n`);
        await from.receivedText(seen);
        ENDS[end](to);
        assert.equal((await from.ending).verdict, 'reset');
        assert.doesNotMatch(from.text, /\r\n0\r\n/);
        const { status, reason, out } = await kit.record();
        assert.deepEqual({ status, reason, out }, { status: 200, reason: 'target-lost', out: seen.length });
      });
    });

    test(`HTTP/2: a response that the target cuts by ${end} ${place} ends with RST_STREAM`, async () => {
      await withHttpsWay({}, async (kit) => {
        const { session, close } = await http2Visitor(kit);
        const stream = session.request({ ':path': '/', ':authority': 'www.example.com' });
        const ending = endingOf(stream);
        const to = await answer(kit, sent);
        await ending.received(seen.length);
        ENDS[end](to);
        assert.deepEqual(await ending.over, { clean: false, code: http2.constants.NGHTTP2_INTERNAL_ERROR, text: seen });
        assert.equal((await kit.record()).reason, 'target-lost');
        assert.equal(session.destroyed, false, 'the session lives on');
        close();
      });
    });
  }
}

test('a close-delimited response ends cleanly on FIN, and is a reset for HTTP/1.1 and HTTP/1.0 on RST', async () => {
  for (const version of ['1.1', '1.0']) {
    for (const [end, verdict] of [
      ['FIN', 'clean'],
      ['RST', 'reset'],
    ] as const) {
      await withHttpsWay({}, async (kit) => {
        const from = await kit.visitor();
        await from.send(`GET / HTTP/${version}\r\n${HOST}Connection: close\r\n\r\n`);
        const to = await answer(kit, 'HTTP/1.1 200 OK\r\n\r\nabc');
        await from.receivedText('abc');
        ENDS[end](to);
        assert.equal((await from.ending).verdict, verdict, `HTTP/${version}, ${end}`);
        assert.equal(/\r\n0\r\n\r\n$/.test(from.text), version === '1.1' && end === 'FIN');
      });
    }
  }
});

for (const end of ['FIN', 'RST'] as const) {
  test(`a target that ends by ${end} before its head: 502 with the code, for who may not be asked twice`, async () => {
    await withHttpsWay({}, async (kit) => {
      const from = await kit.visitor();
      await from.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`);
      ENDS[end](await answer(kit, 'HTTP/1.1 200 O'));
      const head = await from.receivedText('\r\n\r\n');
      assert.match(head, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
      assert.match(
        head,
        /\r\nProxy-Status: front\.example\.net; error=connection_terminated; details="target-lost"\r\n/,
      );
      const { status, reason } = await kit.record();
      assert.deepEqual(
        { status, reason, count: kit.target.peers.length },
        { status: 502, reason: 'target-lost', count: 1 },
      );
      from.close();
    });
  });
}

for (const end of ['fin', 'reset'] as const) {
  test(`a visitor that leaves in its body by ${end} is a reset for the target, and the body is not complete`, async () => {
    await withHttpsWay({}, async ({ visitor, target, record }) => {
      const from = await visitor();
      await from.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`);
      const to = await target.next();
      await to.receivedText('abc\r\n');
      from[end]();
      assert.equal((await to.ending).verdict, 'reset');
      assert.doesNotMatch(to.text, /\r\n0\r\n/);
      assert.equal((await record()).reason, 'visitor-reset');
    });
  });
}

test('a visitor that resets while it waits, or while it reads, is a reset for the target', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    for (const [count, answer] of ['', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'].entries()) {
      const from = await visitor();
      await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      const to = await target.next();
      await to.receivedText('\r\n\r\n');
      if (answer !== '') await to.send(answer);
      if (answer !== '') await from.receivedText('abc');
      from.reset();
      assert.equal((await to.ending).verdict, 'reset');
      assert.equal((await record(count + 1)).reason, 'visitor-reset');
    }
  });
});

test('HTTP/2: a visitor that resets its stream is a reset for the target, and costs no other stream', async () => {
  await withHttpsWay({}, async (kit) => {
    const { session, close } = await http2Visitor(kit);
    const first = session.request({ ':path': '/1', ':authority': 'www.example.com', ':method': 'POST' });
    first.on('error', () => {});
    first.write('abc');
    const to = await kit.target.next();
    await to.receivedText('abc\r\n');
    // Not close(code), with which Node says END_STREAM first.
    first.destroy(new Error('reset by the test'));
    assert.equal((await to.ending).verdict, 'reset');
    assert.doesNotMatch(to.text, /\r\n0\r\n/);
    assert.equal((await kit.record()).reason, 'visitor-reset');
    const second = session.request({ ':path': '/2', ':authority': 'www.example.com' });
    const ending = endingOf(second);
    const next = await kit.target.next();
    await next.receivedText('\r\n\r\n');
    await next.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    assert.deepEqual(await ending.over, { clean: true, code: 0, text: 'ok' });
    close();
  });
});

for (const [name, code] of [
  ['NO_ERROR', 0],
  ['CANCEL', 8],
] as const) {
  test(`HTTP/2: RST_STREAM with ${name} does not complete a body`, async () => {
    await withHttpsWay({}, async ({ port, target, record }) => {
      const { stream, raw } = await connectWire(port, { tls: true, alpn: ['h2'], halfOpen: false });
      stream.resume();
      const head = [':method', 'POST', ':scheme', 'https', ':path', '/', ':authority', 'www.example.com'];
      stream.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      stream.write(Buffer.concat([frame(4, 0, 0, ''), frame(1, 4, 1, literals(head)), frame(0, 0, 1, 'abc')]));
      const to = await target.next();
      await to.receivedText('\r\n3\r\nabc\r\n');
      stream.write(frame(3, 0, 1, Buffer.from([0, 0, 0, code])));
      assert.equal((await to.ending).verdict, 'reset');
      assert.doesNotMatch(to.text, /\r\n0\r\n/);
      assert.equal((await record()).reason, 'visitor-reset');
      raw.destroy();
    });
  });
}

/** A frame of HTTP/2: what Node's own client never sends, for it says END_STREAM in front of a reset. */
function frame(type: number, flags: number, stream: number, payload: string | Buffer): Buffer {
  const body = Buffer.from(payload);
  return Buffer.concat([Buffer.from([0, body.length >> 8, body.length & 255, type, flags, 0, 0, 0, stream]), body]);
}

/** HPACK, each field as a literal (RFC 7541, section 6.2.2). */
function literals(pairs: readonly string[]): Buffer {
  return Buffer.concat(
    pairs.map((text, i) =>
      Buffer.concat([Buffer.from(i % 2 === 0 ? [0, text.length] : [text.length]), Buffer.from(text)]),
    ),
  );
}

test('more bytes than Content-Length: what was promised arrives, the rest costs the target its connection', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    await from.receivedText('\r\n\r\nok');
    await record(1);
    await from.send(`GET /next HTTP/1.1\r\n${HOST}\r\n`);
    const next = await target.next();
    await next.receivedText('GET /next');
    await next.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood');
    await from.receivedText('good');
    assert.doesNotMatch(from.text, /evil/);
    from.close();
  });
});

test('bytes that nobody asked for cost an idle connection', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    await record(1);
    await to.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    assert.equal((await to.ending).verdict, 'reset');
    await from.send(`GET /next HTTP/1.1\r\n${HOST}\r\n`);
    await (await target.next()).receivedText('GET /next');
    from.close();
  });
});

interface Http2Visitor {
  readonly session: http2.ClientHttp2Session;
  close(): void;
}

async function http2Visitor({ port }: HttpsWayKit): Promise<Http2Visitor> {
  const { stream, raw } = await connectWire(port, { tls: true, alpn: ['h2'], halfOpen: false });
  const session = http2.connect('https://www.example.com', { createConnection: () => stream });
  session.on('error', () => {});
  return {
    session,
    close: () => {
      session.destroy();
      raw.destroy();
    },
  };
}

interface StreamEnding {
  readonly over: Promise<{ clean: boolean; code: number | undefined; text: string }>;
  received(length: number): Promise<void>;
}

/** What a client of HTTP/2 knows of the end: END_STREAM was seen, and no RST_STREAM. */
function endingOf(stream: http2.ClientHttp2Stream): StreamEnding {
  let text = '';
  let aborted = false;
  let waiting: { length: number; resolve: () => void } | null = null;
  let headed = false;
  const wake = (): void => {
    if (waiting !== null && headed && text.length >= waiting.length) waiting.resolve();
  };
  stream.on('error', () => {});
  stream.on('aborted', () => {
    aborted = true;
  });
  stream.on('response', () => {
    headed = true;
    wake();
  });
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    wake();
  });
  const over = new Promise<{ clean: boolean; code: number | undefined; text: string }>((resolve) => {
    stream.on('close', () => {
      const clean = !aborted && stream.rstCode === 0 && stream.readableEnded;
      resolve({ clean, code: stream.rstCode, text });
    });
  });
  return {
    over: within('the end of the stream', over),
    received: (length) =>
      within(
        `${length} bytes of the stream`,
        new Promise((resolve) => {
          waiting = { length, resolve };
          wake();
        }),
      ),
  };
}
