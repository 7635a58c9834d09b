import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { ServerOptions } from '../../src/server/options.ts';
import { createRedirect } from '../../src/server/redirect.ts';
import { resolveServerOptions } from '../../src/server/resolve-options.ts';
import { testCertificate } from '../support/certificates.ts';
import { Observed } from '../support/observed.ts';
import { connectPeer } from '../support/raw-target.ts';
import { CLEAN } from '../support/verdict.ts';
import { eventually, within } from '../support/within.ts';

async function startRedirect(t: TestContext, given: Partial<ServerOptions> = {}, httpsPort = 443) {
  const told = new Observed();
  const { cert, key } = testCertificate();
  const options = resolveServerOptions({
    listen: [{ host: '127.0.0.1', port: 0 }],
    certificates: [{ hosts: ['*'], cert, key }],
    domains: [{ name: 'known.test', secrets: [] }],
    redirect: [{ host: '127.0.0.1', port: 0 }],
    observer: told.observer,
    ...given,
  });
  const redirect = createRedirect({ options, httpsPort: () => httpsPort });
  t.after(() => redirect.close());
  const [address] = await redirect.listen();
  assert.ok(address !== undefined && 'port' in address);
  return { redirect, port: address.port, told };
}

/** The whole answer to bytes that are sent as they are; Date is left out. */
async function ask(port: number, request: string): Promise<string> {
  const peer = await connectPeer(port);
  await peer.send(request);
  const answer = `${await peer.receivedText('\r\n\r\n')}\r\n`;
  peer.close();
  return answer.replace(/^Date: .*\r\n/m, '');
}

function get(target: string, host = 'example.com'): string {
  return `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
}

function locationOf(answer: string): string | null {
  return /^HTTP\/1\.1 308 /.test(answer) ? (/^Location: (.*)\r$/m.exec(answer)?.[1] ?? null) : null;
}

describe('plain HTTP is sent to https', () => {
  const cases: readonly [request: string, location: string][] = [
    [get('/'), 'https://example.com/'],
    [get('/a/b?c=d&e=%20f'), 'https://example.com/a/b?c=d&e=%20f'],
    [get('//other.test/x'), 'https://example.com//other.test/x'],
    [get('/..;/%2525'), 'https://example.com/..;/%2525'],
    [get('/', 'WWW.Example.com.:8080'), 'https://www.example.com/'],
    [get('/', '127.0.0.1'), 'https://127.0.0.1/'],
    [get('http://example.com/x'), 'https://example.com/x'],
    [get('http://example.com'), 'https://example.com/'],
    [get('HTTP://EXAMPLE.com:80/x', 'example.com:80'), 'https://example.com/x'],
    ['GET / HTTP/1.0\r\nHost: example.com\r\n\r\n', 'https://example.com/'],
    ['POST /p HTTP/1.1\r\nHost: example.com\r\nContent-Length: 3\r\n\r\nabc', 'https://example.com/p'],
    ['DELETE /p HTTP/1.1\r\nHost: example.com\r\n\r\n', 'https://example.com/p'],
    [
      'POST /p HTTP/1.1\r\nHost: example.com\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n',
      'https://example.com/p',
    ],
    [
      'GET /ws HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      'https://example.com/ws',
    ],
  ];
  for (const [request, location] of cases) {
    test(JSON.stringify(request), async (t) => {
      const { port } = await startRedirect(t);
      assert.equal(locationOf(await ask(port, request)), location);
    });
  }

  test('on another port where the front door is there', async (t) => {
    const { port } = await startRedirect(t, {}, 8443);
    assert.equal(locationOf(await ask(port, get('/x', 'example.com:8080'))), 'https://example.com:8443/x');
  });

  test('in the same words whether the domain exists or not', async (t) => {
    const { port } = await startRedirect(t);
    const known = await ask(port, get('/', 'known.test'));
    assert.equal(known, (await ask(port, get('/', 'other.test'))).replace('other', 'known'));
    assert.doesNotMatch(known, /backdial|server:|powered/i);
  });

  test('over one connection several times', async (t) => {
    const { port } = await startRedirect(t);
    const peer = await connectPeer(port);
    for (const path of ['/1', '/2']) {
      await peer.send(get(path));
      await peer.receivedText(`Location: https://example.com${path}\r\n`);
    }
    peer.close();
  });
});

describe('400 is the answer, without a Location,', () => {
  const requests = [
    'GET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n',
    get('/', ''),
    get('/', 'a.test, b.test'),
    get('/', 'a.test b.test'),
    get('/', 'user@a.test'),
    get('/', 'a.test/path'),
    get('/', 'a..test'),
    get('/', 'a_b.test'),
    get('/', 'a.test:99999'),
    get('/', 'a.test:'),
    get('/', '[::1]'),
    get('/', 'a.test\\@b.test'),
    get('/\xff'),
    get('/#x'),
    get('*'),
    get('x'),
    get('http://other.test/'),
    get('http://example.com.other.test/'),
    get('http://example.com@other.test/'),
    get('https://example.com/'),
    'OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n',
    'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n',
    'garbage\r\n\r\n',
  ];
  for (const request of requests) {
    test(`to ${JSON.stringify(request)}`, async (t) => {
      const { port } = await startRedirect(t);
      const answer = await ask(port, request);
      assert.match(answer, /^HTTP\/1\.1 400 /);
      assert.doesNotMatch(answer, /^Location:/im);
    });
  }
});

describe('deadlines and bounds', () => {
  for (const [what, bytes] of [
    ['silence', ''],
    ['half a head', 'GET / HTTP/1.1\r\nHost: a'],
    ['a body that does not come', 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\n'],
  ]) {
    test(`${what} is closed after readTimeoutMs`, async (t) => {
      const { port } = await startRedirect(t, { readTimeoutMs: 300 });
      const started = performance.now();
      const peer = await connectPeer(port);
      if (bytes) await peer.send(bytes);
      await within('the end', peer.ending, 8_000);
      assert.ok(performance.now() - started > 250);
      peer.close();
    });
  }

  test('a head that is too large is refused', async (t) => {
    const { port } = await startRedirect(t, { maxHeaderBytes: 1_000 });
    assert.match(await ask(port, get(`/${'x'.repeat(2_000)}`)), /^HTTP\/1\.1 431 /);
  });

  test('connections over the limit are closed at once', async (t) => {
    const { port, redirect, told } = await startRedirect(t, { maxConnections: 2 });
    const peers = [await connectPeer(port), await connectPeer(port)];
    await eventually('two', () => redirect.connectionCount === 2);
    const third = await connectPeer(port);
    assert.deepEqual(await within('the end', third.ending), CLEAN);
    assert.equal(told.of('warning')[0]?.code, 'connection-limit');
    for (const peer of [...peers, third]) peer.close();
  });

  test('a stop is not held up by silent, half-said and idle connections', async (t) => {
    const { port, redirect } = await startRedirect(t);
    const silent = await connectPeer(port);
    const half = await connectPeer(port);
    await half.send('GET / HTTP/1.1\r\n');
    const idle = await connectPeer(port);
    await idle.send(get('/'));
    await idle.receivedText('\r\n\r\n');
    await within('the drain', redirect.drained(), 8_000);
    assert.equal(redirect.connectionCount, 0);
    for (const peer of [silent, half, idle]) peer.close();
  });
});
