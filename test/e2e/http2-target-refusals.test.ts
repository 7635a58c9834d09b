import assert from 'node:assert/strict';
import * as http2 from 'node:http2';
import { test } from 'node:test';
import { testCertificate } from '../support/certificates.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { withRouted } from '../support/routed.ts';

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = http2.constants;

/** What a target does with a request before it answers it, by its path. */
const BEFORE: Readonly<Record<string, (stream: http2.ServerHttp2Stream) => void>> = {
  '/refused': (stream) => stream.close(NGHTTP2_REFUSED_STREAM),
  // The last stream that it looked at is the one before this.
  '/goaway': (stream) => stream.session?.goaway(NGHTTP2_NO_ERROR, (stream.id ?? 0) - 2),
  '/failed': (stream) => stream.close(NGHTTP2_INTERNAL_ERROR),
  '/body': (stream) => stream.close(NGHTTP2_REFUSED_STREAM),
};

test('what an HTTP/2 target says not to have looked at is sent again, whatever the method; what it may have done, or with a body, is not', async () => {
  const seen: string[] = [];
  const target = http2.createSecureServer(testCertificate());
  target.on('sessionError', () => {});
  target.on('stream', (stream: http2.ServerHttp2Stream, { ':path': path = '' }) => {
    stream.on('error', () => {});
    const isFirst = !seen.includes(path);
    seen.push(path);
    if (isFirst) BEFORE[path]?.(stream);
    else stream.respond({ ':status': 204 }, { endStream: true });
  });
  const close = closerOf(target);
  const keys = `targets: { target: "https://localhost:${await listenOn(target)}", tls: { ca: "ca.pem" } }`;
  try {
    await withRouted({ keys }, async ({ curl }) => {
      const statuses: Record<string, number> = {};
      for (const path of ['/refused', '/goaway', '/failed'])
        statuses[path] = (await curl(path, '--request', 'POST')).status;
      statuses['/body'] = (await curl('/body', '--data', 'sent once')).status;
      assert.deepEqual(statuses, { '/refused': 204, '/goaway': 204, '/failed': 502, '/body': 502 });
    });
  } finally {
    await close();
  }
  assert.deepEqual(seen, ['/refused', '/refused', '/goaway', '/goaway', '/failed', '/body']);
});
