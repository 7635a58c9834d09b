import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { connectThroughProxy, proxyFor, requestConnect } from '../../src/net/http-proxy.ts';
import { ConnectProxy } from '../support/connect-proxy.ts';
import { connectedPair } from '../support/connected-pair.ts';
import { listenOn } from '../support/listen-on.ts';

describe('which proxy', () => {
  test('HTTPS_PROXY in either case, with credentials, scheme and port, or none of them', () => {
    const plain = proxyFor({ HTTPS_PROXY: 'http://proxy.test:3128' }, 'www.test', 443);
    assert.deepEqual({ ...plain }, { secure: false, host: 'proxy.test', port: 3128, credentials: null });
    const full = proxyFor({ HTTPS_PROXY: 'http://other', https_proxy: 'https://me:p%40ss@[::1]' }, 'www.test', 443);
    assert.equal(full?.host, '::1');
    assert.equal(full?.port, 443);
    assert.equal(full?.secure, true);
    assert.equal(full?.credentials?.reveal(), 'me:p@ss');
    assert.equal(proxyFor({ HTTPS_PROXY: 'proxy.test:8080' }, 'www.test', 443)?.port, 8080);
    assert.equal(proxyFor({ HTTPS_PROXY: '' }, 'www.test', 443), null);
    assert.equal(proxyFor({}, 'www.test', 443), null);
  });

  test('what is no URL of a proxy is a configuration error that does not show the value', () => {
    for (const value of ['socks5://me:secret@proxy.test', 'http://', 'http://me:secret@:80']) {
      assert.throws(
        () => proxyFor({ HTTPS_PROXY: value }, 'www.test', 443),
        (error: Error & { code?: string }) => error.code === 'config-invalid' && !error.message.includes('secret'),
        value,
      );
    }
  });

  const exceptions: ReadonlyArray<[noProxy: string, host: string, port: number, excepted: boolean]> = [
    ['*', 'www.test', 443, true],
    ['www.test', 'www.test', 443, true],
    ['www.test', 'WWW.test', 443, true],
    ['test', 'www.test', 443, true],
    ['.test', 'www.test', 443, true],
    ['*.test', 'www.test', 443, true],
    ['est', 'www.test', 443, false],
    ['www.test:443', 'www.test', 443, true],
    ['www.test:8443', 'www.test', 443, false],
    ['a.example, www.test', 'www.test', 443, true],
    ['10.1.2.3', '10.1.2.3', 443, true],
    ['2.3', '10.1.2.3', 443, false],
    ['10.0.0.0/8', '10.1.2.3', 443, true],
    ['10.0.0.0/99', '10.1.2.3', 443, false],
    ['fd00::/8', 'fd00::1', 443, true],
    ['[::1]:443', '::1', 443, true],
    ['::1', '::1', 443, true],
    ['', 'www.test', 443, false],
  ];
  for (const [noProxy, host, port, excepted] of exceptions) {
    test(`NO_PROXY "${noProxy}" ${excepted ? 'excepts' : 'does not except'} ${host}:${port}`, () => {
      const proxy = proxyFor({ HTTPS_PROXY: 'http://p:1', NO_PROXY: noProxy }, host, port);
      assert.equal(proxy === null, excepted);
    });
  }
});

describe('CONNECT', () => {
  test('bytes behind the answer stay in the socket', () =>
    withListener(
      (socket) => socket.write('HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello'),
      async (port) => {
        const socket = await connectThroughProxy(proxyAt(port), 'www.test', 443, { timeoutMs: 30_000 });
        socket.resume();
        const [chunk] = await once(socket, 'data');
        assert.equal(String(chunk), 'hello');
        socket.destroy();
      },
    ));

  const refusals: ReadonlyArray<[what: string, answer: string, text: RegExp]> = [
    ['407', 'HTTP/1.1 407 No\r\n\r\n', /answered CONNECT www\.test:443 with 407; give login:password/],
    ['403', 'HTTP/1.1 403 No\r\n\r\n', /with 403$/],
    ['something that is not HTTP', 'SSH-2.0-x\r\n\r\n', /not HTTP\/1/],
    ['a head without an end', 'x'.repeat(20_000), /has no end/],
  ];
  for (const [what, answer, text] of refusals) {
    test(`${what} is proxy-refused`, () =>
      withListener(
        (socket) => socket.write(answer),
        async (port) => {
          const dial = connectThroughProxy(proxyAt(port), 'www.test', 443, { timeoutMs: 30_000 });
          await assert.rejects(dial, { code: 'proxy-refused', message: text });
        },
      ));
  }

  test('silence ends with the deadline, a closed connection at once', async () => {
    await withListener(
      () => {},
      async (port) => {
        const dial = connectThroughProxy(proxyAt(port), 'www.test', 443, { timeoutMs: 100 });
        await assert.rejects(dial, { code: 'proxy-refused', message: /did not answer CONNECT within \d+ ms/ });
      },
    );
    await withListener(
      (socket) => socket.end(),
      async (port) => {
        const dial = connectThroughProxy(proxyAt(port), 'www.test', 443, { timeoutMs: 30_000 });
        await assert.rejects(dial, { code: 'proxy-refused', message: /without an answer/ });
      },
    );
  });

  test('nothing is asked for once the signal is aborted', async () => {
    await using pair = await connectedPair();
    const given = { timeoutMs: 20_000, signal: AbortSignal.abort() };
    await assert.rejects(requestConnect(pair.near, 'www.test:443', null, given), /aborted/);
    assert.equal(pair.near.bytesWritten, 0);
  });

  test('a proxy that cannot be reached, or whose certificate is not trusted, is proxy-refused', async () => {
    await assert.rejects(connectThroughProxy(proxyAt(1), 'www.test', 443, { timeoutMs: 30_000 }), {
      code: 'proxy-refused',
      message: /ECONNREFUSED/,
    });
    const proxy = new ConnectProxy({ secure: true });
    await proxy.listen();
    try {
      const secure = { ...proxyAt(proxy.port), secure: true };
      const dial = connectThroughProxy(secure, 'localhost', 1, { timeoutMs: 30_000 });
      await assert.rejects(dial, { code: 'proxy-refused', message: /certificate is not trusted/ });
      assert.deepEqual(proxy.asked, []);
    } finally {
      proxy.close();
    }
  });
});

function proxyAt(port: number) {
  return { secure: false, host: '127.0.0.1', port, credentials: null };
}

async function withListener(onSocket: (socket: Socket) => void, body: (port: number) => Promise<void>): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => onSocket(socket));
  });
  const port = await listenOn(server);
  try {
    await body(port);
  } finally {
    server.close();
  }
}
