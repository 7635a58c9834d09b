import assert from 'node:assert/strict';
import * as http2 from 'node:http2';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { issueCertificate, makeAuthority, testAuthority, testCertificate } from '../support/certificates.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { type RoutedKit, withRouted } from '../support/routed.ts';
import { startToldTarget, type Told } from '../support/told-target.ts';
import { within } from '../support/within.ts';

describe('an https target', () => {
  const cases: readonly (readonly [title: string, tls: string, names: readonly string[], code: string | null])[] = [
    ['is reached where its certificate is of the authority', 'ca: "ca.pem"', ['DNS:localhost'], null],
    ['is refused where the authority is not known', '', ['DNS:localhost'], 'target-certificate'],
    ['is refused where the authority is another', 'ca: "other.pem"', ['DNS:localhost'], 'target-certificate'],
    ['is refused where the certificate is for another name', 'ca: "ca.pem"', ['DNS:other.test'], 'target-certificate'],
    ['is reached without a look at its certificate where that is wanted', 'verify: false', ['DNS:other.test'], null],
  ];
  for (const [title, tls, names, code] of cases) {
    test(title, async () => {
      const target = await startToldTarget('secure', { tls: issueCertificate(names) });
      const url = `https://localhost:${target.port}`;
      const files = { 'other.pem': makeAuthority('Backdial test authority').cert };
      try {
        // Spliced, and read.
        for (const more of ['', 'path: "^/", ']) {
          const keys = `targets: { ${more}target: "${url}", tls: { ${tls} } }`;
          await withRouted({ keys, files }, async ({ ask, curl }) => {
            if (code === null) assert.equal((await ask<Told>('/')).target, 'secure');
            else {
              const { status, text } = await curl('/');
              assert.equal(status, 502);
              assert.match(text, new RegExp(`error=tls_certificate_error; details="${code}"`));
            }
          });
        }
        assert.equal(target.seen.length, code === null ? 2 : 0);
      } finally {
        await target.close();
      }
    });
  }
});

interface Call {
  readonly headers: http2.IncomingHttpHeaders;
  readonly status: number;
  readonly body: string;
  readonly trailers: http2.IncomingHttpHeaders;
}

/** A call as gRPC makes it: HTTP/2 both ways, `TE: trailers`, a message or several, the status in the trailers. */
function call({ port }: RoutedKit, path: string, messages: readonly string[], replies = 0): Promise<Call> {
  const session = http2.connect(`https://127.0.0.1:${port}`, {
    ca: testAuthority().cert,
    servername: 'www.example.com',
  });
  session.on('error', () => {});
  const fields = { te: 'trailers', 'content-type': 'application/grpc', 'grpc-timeout': '5S' };
  const stream = session.request({ ':method': 'POST', ':path': path, ':authority': 'www.example.com', ...fields });
  const { promise, resolve, reject } = Promise.withResolvers<Call>();
  let headers: http2.IncomingHttpHeaders = {};
  let trailers: http2.IncomingHttpHeaders = {};
  let body = '';
  let next = 0;
  const send = () => {
    const message = messages[next];
    next += 1;
    if (message === undefined) stream.end();
    else stream.write(message);
  };
  stream.on('response', (got) => {
    headers = got;
  });
  stream.on('trailers', (got) => {
    trailers = got;
  });
  stream.setEncoding('latin1').on('data', (chunk) => {
    body += chunk;
    // Each message only once the one before it was replied to: both directions are open at the same time.
    if (replies > 0) send();
  });
  stream.on('error', (error) => reject(new Error('reset', { cause: error })));
  stream.on('aborted', () => reject(new Error('reset')));
  stream.on('close', () => resolve({ headers, status: Number(headers[':status']), body, trailers }));
  if (replies > 0) send();
  else for (let i = 0; i <= messages.length; i += 1) send();
  return within('the end of the call', promise).finally(() => session.destroy());
}

/** A target that speaks HTTP/2 only. */
async function withGrpc(body: (url: string, sessions: () => number) => Promise<void>): Promise<void> {
  const { cert, key } = testCertificate();
  let sessions = 0;
  const server = http2.createSecureServer({ cert, key });
  server.on('session', () => {
    sessions += 1;
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    const path = headers[':path'];
    if (path === '/unimplemented') {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' }, { endStream: true });
      return;
    }
    if (path === '/length') {
      const announced = headers['x-announced'] === undefined ? {} : { trailer: 'x-sum' };
      stream.respond({ ':status': 200, 'content-length': '4', ...announced }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }));
      stream.end('body');
      return;
    }
    if (path === '/reset') {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      // Not `close`, which says END_STREAM first.
      stream.write('half');
      stream.on('data', (message) => {
        if (String(message) === 'break') stream.destroy(new Error('the target broke'));
      });
      return;
    }
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => {
      const sent = [headers.te, headers['grpc-timeout'], headers['x-forwarded-proto']].join(' ');
      stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': sent });
    });
    if (path === '/echo') stream.pipe(stream);
    else void buffer(stream).then((whole) => stream.end(`got ${whole.length} bytes`));
  });
  const close = closerOf(server);
  const port = await listenOn(server);
  try {
    await body(`https://localhost:${port}`, () => sessions);
  } finally {
    await close();
  }
}

describe('a target that speaks HTTP/2', () => {
  for (const more of ['', 'path: "^/", ']) {
    test(`is spoken to in HTTP/2, trailers and all${more === '' ? '' : ', also where requests are routed'}`, () =>
      withGrpc((url, sessions) =>
        withRouted({ keys: `targets: { ${more}target: "${url}", tls: { ca: "ca.pem" } }` }, async (kit) => {
          const unary = await call(kit, '/unary', ['x'.repeat(100_000)]);
          assert.deepEqual([unary.status, unary.body], [200, 'got 100000 bytes']);
          assert.equal(unary.trailers['grpc-status'], '0');
          assert.equal(unary.trailers['grpc-message'], 'trailers 5S https');
          const both = await call(kit, '/echo', ['one ', 'two ', 'three'], 3);
          assert.deepEqual([both.body, both.trailers['grpc-status']], ['one two three', '0']);
          const only = await call(kit, '/unimplemented', ['x']);
          assert.deepEqual([only.status, only.headers['grpc-status'], only.body], [200, '12', '']);
          const long = await call(kit, '/length', ['x']);
          assert.deepEqual(
            [long.body, long.trailers['x-sum'], long.headers['content-length']],
            ['body', '42', undefined],
          );
          const sized = async (...flags: string[]) => (await kit.curl('/length', ...flags)).text;
          for (const version of ['--http1.1', '--http2']) {
            assert.match(await sized(version), /\r\ncontent-length: 4\r\n/i);
            // As a browser asks for a page.
            const page = ['--header', 'TE: trailers', '--header', 'Sec-Fetch-Mode: navigate'];
            assert.match(await sized(version, ...page), /\r\ncontent-length: 4\r\n/i);
            assert.match(await sized(version, '--header', 'X-Announced: 1'), /\r\n\r\nbodyx-sum: 42/i);
          }
          await assert.rejects(call(kit, '/reset', ['x', 'break'], 2), /reset/);
          const many = await Promise.all(Array.from({ length: 30 }, (_, i) => call(kit, '/unary', ['y'.repeat(i)])));
          assert.deepEqual(
            many.map(({ body }) => body),
            many.map((_, i) => `got ${i} bytes`),
          );
          assert.equal(sessions(), 1, 'all share one session');
          assert.match((await kit.curl('/unary', '--http1.1', '--data', 'abc')).text, /got 3 bytes/);
        }),
      ));
  }
});
