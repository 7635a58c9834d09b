import assert from 'node:assert/strict';
import * as http from 'node:http';
import { Duplex } from 'node:stream';
import test from 'node:test';
import fc from 'fast-check';
import { BackdialError } from '../../src/core/errors.ts';
import { HeaderRules } from '../../src/net/header-rules.ts';
import { ResponseParser } from '../../src/net/http1-response.ts';
import type { ResponseHead } from '../../src/net/http1-response-head.ts';

/** What came of a response: all that a reader of it can know. */
interface Read {
  readonly interims: ResponseHead[];
  head: ResponseHead | null;
  body: string;
  trailers: string[] | null;
  reusable: boolean;
  /** Bytes behind the response. */
  rest: string;
}

interface Asked {
  readonly method?: string;
  readonly upgrade?: boolean;
  /** The connection ends after the bytes. */
  readonly end?: boolean;
}

function read(pieces: readonly string[], { method = 'GET', upgrade = false, end = false }: Asked = {}): Read {
  const got: Read = { interims: [], head: null, body: '', trailers: null, reusable: false, rest: '' };
  const parser = new ResponseParser(new HeaderRules(), {
    responseInterim: (head) => got.interims.push(head),
    responseHead: (head) => {
      got.head = head;
    },
    responseData: (data) => {
      got.body += data.toString('latin1');
    },
    responseEnd: (trailers) => {
      got.trailers = trailers;
    },
  });
  parser.start(method, upgrade);
  for (const piece of pieces) {
    const chunk = Buffer.from(piece, 'latin1');
    got.rest += chunk.toString('latin1', parser.read(chunk));
  }
  if (end) parser.end();
  got.reusable = parser.reusable;
  return got;
}

function refusal(text: string, asked: Asked = {}): string {
  try {
    read([text], asked);
  } catch (error) {
    assert.ok(error instanceof BackdialError, String(error));
    return error.code;
  }
  return 'accepted';
}

const SAMPLES: readonly { readonly text: string; readonly asked?: Asked }[] = [
  { text: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\nhelloREST' },
  {
    text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5;ext="x"\r\nhello\r\n00a\r\n0123456789\r\n0\r\nX: 1\r\nY: 2\r\n\r\nREST',
  },
  { text: 'HTTP/1.1 200 OK\r\ntransfer-encoding:CHUNKED\r\n\r\n0\r\n\r\nREST' },
  {
    text: 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </x>\r\nLink: </y>\r\n\r\nHTTP/1.1 204 \r\n\r\nREST',
  },
  { text: 'HTTP/1.0 200\r\nA:  b\t \r\n\r\nall of it', asked: { end: true } },
  { text: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\nREST' },
  {
    text: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nREST',
    asked: { upgrade: true },
  },
  { text: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nREST', asked: { method: 'HEAD' } },
];

for (const { text, asked } of SAMPLES) {
  test(`reads the same whatever the split: ${JSON.stringify(text.slice(0, 60))}`, () => {
    const whole = read([text], asked);
    assert.notEqual(whole.head, null);
    for (let at = 1; at < text.length; at += 1)
      assert.deepEqual(read([text.slice(0, at), text.slice(at)], asked), whole);
    assert.deepEqual(read([...text], asked), whole);
  });
}

test('names, values, order and case are as sent; what is hop-by-hop or named by Connection is not', () => {
  const { head } = read([
    'HTTP/1.1 299 Odd One\r\nVary: a\r\nvary: b\r\nX-Latin: \xe4\r\nConnection: close, X-Gone\r\nx-gone: 1\r\n' +
      'Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nContent-Length: 0\r\nX-Last:\r\n\r\n',
  ]);
  assert.equal(head?.reason, 'Odd One');
  assert.deepEqual(head?.headers, ['Vary', 'a', 'vary', 'b', 'X-Latin', '\xe4', 'Content-Length', '0', 'X-Last', '']);
});

test('a connection is reusable when the response says so and ends by itself', () => {
  const reusable = (head: string, method = 'GET'): boolean => read([`${head}\r\n\r\n`], { method }).reusable;
  assert.equal(reusable('HTTP/1.1 200 OK\r\nContent-Length: 0'), true);
  assert.equal(reusable('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close'), false);
  assert.equal(reusable('HTTP/1.0 200 OK\r\nContent-Length: 0'), false);
  assert.equal(reusable('HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive'), true);
  assert.equal(reusable('HTTP/1.1 200 OK'), false);
  assert.equal(reusable('HTTP/1.1 200 OK', 'HEAD'), true);
  assert.equal(reusable('HTTP/1.1 204 No Content\r\nContent-Length: 5'), false);
  assert.equal(reusable('HTTP/1.1 204 No Content\r\nContent-Length: 0'), true);
});

for (const [what, text] of [
  ['no status line', 'hello\r\n\r\n'],
  ['HTTP/2', 'HTTP/2 200 OK\r\n\r\n'],
  ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of 600', 'HTTP/1.1 600 OK\r\n\r\n'],
  ['a bare LF', 'HTTP/1.1 200 OK\nA: b\r\n\r\n'],
  ['a bare CR', 'HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n'],
  ['NUL', 'HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n'],
  ['a folded line', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n'],
  ['a line without a colon', 'HTTP/1.1 200 OK\r\nAb\r\n\r\n'],
  ['a line without a colon in front of one that has one', 'HTTP/1.1 200 OK\r\nAb\r\nC: d\r\n\r\n'],
  ['a blank before the colon', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n'],
  ['an empty name', 'HTTP/1.1 200 OK\r\n: b\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n'],
  ['a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: 1,1\r\n\r\n'],
  ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'],
  ['length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['a coding that is not chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
  ['chunked twice', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['an unasked 101', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
  ['nine interim responses', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(9)],
  ['no chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n'],
  ['a chunk size with 0x', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n'],
  ['a negative chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n'],
  ['an enormous chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n'],
  ['a chunk size line with a bare LF', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n'],
  ['an extension with a bare LF', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n'],
  ['a chunk longer than its size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n'],
  ['a bare CR behind a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\rX'],
  ['an endless extension', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;${'x'.repeat(1_100)}`],
  ['endless trailers', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'X: y\r\n'.repeat(12_000)}`],
] as const) {
  test(`refuses ${what}`, () => {
    assert.equal(refusal(text), 'target-invalid');
  });
}

test('refuses a head of more than 64 kB, at once and in pieces', () => {
  assert.equal(refusal(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(65_540)}\r\n\r\n`), 'target-headers');
  const piece = `X: ${'y'.repeat(1_000)}\r\n`;
  assert.throws(() => read(['HTTP/1.1 200 OK\r\n', ...Array.from({ length: 70 }, () => piece)]), {
    code: 'target-headers',
  });
  assert.equal(refusal(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(65_000)}\r\n\r\n`), 'accepted');
});

test('what will never be a head is refused at once: another protocol, lines without CR', () => {
  for (const text of ['SSH-2.0-x\r\n', 'h', 'HTTP/2', 'HTTP/1.1 200 OK\n', 'HTTP/1.1 200 OK\r\nA: b\n', '\n', '\r\n']) {
    assert.equal(refusal(text), 'target-invalid', JSON.stringify(text));
  }
  assert.equal(refusal('H'), 'accepted');
  assert.equal(read([...'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx']).body, 'x');
});

test('the end of a connection completes only what it delimits', () => {
  assert.equal(read(['HTTP/1.1 200 OK\r\n\r\nabc'], { end: true }).trailers?.length, 0);
  assert.equal(read(['HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc'], { end: true }).trailers, null);
  assert.equal(
    read(['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'], { end: true }).trailers,
    null,
  );
  assert.equal(read(['HTTP/1.1 200 OK\r\nContent-Len'], { end: true }).trailers, null);
});

/** Node's own parser (llhttp), strict: what it reads from the bytes, or that it refuses them. */
async function readByNode(text: string): Promise<{ status: number; body: string; complete: boolean } | 'refused'> {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const request = http.request({ createConnection: () => socket, headers: { host: 'x' } });
  request.end();
  return new Promise((resolve) => {
    request.on('error', () => resolve('refused'));
    request.on('upgrade', () => resolve('refused'));
    request.on('response', (response) => {
      let body = '';
      const settle = (): void => resolve({ status: response.statusCode ?? 0, body, complete: response.complete });
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString('latin1');
      });
      response.on('error', () => resolve('refused'));
      response.on('end', settle);
    });
    request.on('socket', () => {
      setImmediate(() => {
        socket.push(Buffer.from(text, 'latin1'));
        socket.push(null);
      });
    });
  });
}

test('never reads another body than the parser of Node from the same bytes', async () => {
  const line = fc.constantFrom(
    'Content-Length: 3',
    'content-length: 0',
    'Content-Length: 3 ',
    'Content-Length: 0x3',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: identity',
    'Transfer-Encoding : chunked',
    'Connection: close',
    'X: y',
    ' folded',
    'A:\tb',
  );
  const status = fc.constantFrom(
    'HTTP/1.1 200 OK',
    'HTTP/1.1 204 None',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 304 Same',
    'HTTP/1.1 404',
  );
  const body = fc.constantFrom(
    '',
    'abc',
    'abcdef',
    '3\r\nabc\r\n0\r\n\r\n',
    '3\r\nabc\r\n',
    '2\r\nabc\r\n0\r\n\r\n',
    '0\r\nX: y\r\n\r\n',
    '3;x=y\r\nabc\r\n0\r\n\r\nmore',
  );
  const response = fc
    .tuple(status, fc.array(line, { maxLength: 4 }), body)
    .map(([first, lines, rest]) => `${[first, ...lines].join('\r\n')}\r\n\r\n${rest}`);
  await fc.assert(
    fc.asyncProperty(response, async (text) => {
      let ours: Read;
      try {
        ours = read([text], { end: true });
      } catch {
        return; // Refusing more than Node does is allowed.
      }
      const theirs = await readByNode(text);
      if (ours.trailers === null || ours.rest !== '') return;
      assert.notEqual(theirs, 'refused', JSON.stringify(text));
      if (theirs === 'refused') return;
      assert.equal(theirs.body, ours.body, JSON.stringify(text));
      assert.equal(theirs.status, ours.head?.status);
    }),
    { numRuns: 500 },
  );
});
