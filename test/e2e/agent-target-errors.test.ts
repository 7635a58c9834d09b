import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:https';
import { createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import type { TargetAddress } from '../../src/index.ts';
import { testAuthority } from '../support/certificates.ts';
import { listenOn } from '../support/listen-on.ts';
import { startRawTarget } from '../support/raw-target.ts';
import { DOMAIN, type Tunnel, type TunnelOptions, withTunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

interface Answer {
  readonly status: number;
  /** `details` of Proxy-Status: the code of the hop that failed. */
  readonly code: string | null;
  readonly proxyStatus: string;
  readonly body: string;
  readonly complete: boolean;
}

async function visit(tunnel: Tunnel, method = 'GET', body = ''): Promise<Answer> {
  const sent = request({
    host: '127.0.0.1',
    port: tunnel.frontDoor,
    servername: DOMAIN,
    ca: testAuthority().cert,
    method,
    headers: { host: DOMAIN },
    agent: false,
  });
  sent.end(body);
  sent.once('response', () => sent.on('error', () => {}));
  const [response] = await within('an answer', once(sent, 'response'));
  let text = '';
  response.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  response.on('error', () => {});
  await within('the end of the answer', new Promise((resolve) => response.on('close', resolve)));
  const proxyStatus = String(response.headers['proxy-status'] ?? '');
  const code = /details="([^"]*)"/.exec(proxyStatus)?.[1] ?? null;
  return { status: response.statusCode, code, proxyStatus, body: text, complete: response.complete };
}

/** A listener that does `play` with each connection, and its port. */
async function withListener(play: (socket: Socket) => void, body: (port: number) => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    play(socket);
  });
  const port = await listenOn(server);
  try {
    await body(port);
  } finally {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
}

async function expectAnswer(options: TunnelOptions, status: number, code: string): Promise<void> {
  await withTunnel(options, async (tunnel) => {
    const answer = await visit(tunnel);
    assert.deepEqual([answer.status, answer.code], [status, code], answer.proxyStatus);
    // The access log of who gave the answer has the reason; where the agent parses, that of the agent has the request too.
    const parsed = options.agent?.exchanges === true && code !== 'target-lost';
    const { record } = await (parsed ? tunnel.agentEvents : tunnel.serverEvents).wait('access');
    assert.deepEqual([record.status, record.reason, record.method, record.path], [status, code, 'GET', '/']);
  });
}

const onlyAgent = (options: TunnelOptions['agent'] & object) => ({ agent: options });

describe('a target that cannot be reached: 502 or 504 with the code of the hop', () => {
  test('nobody listens: target-refused', () => expectAnswer({ target: 1 }, 502, 'target-refused'));

  test('its name does not resolve: target-unresolved', () =>
    expectAnswer({ target: { kind: 'tcp', host: 'nowhere.invalid', port: 80 } }, 502, 'target-unresolved'));

  test('its socket file is not there: target-unreachable', () =>
    expectAnswer({ target: { kind: 'unix', path: '/nowhere/there.sock' } }, 502, 'target-unreachable'));

  test('it does not finish TLS in time: target-timeout', () =>
    withListener(
      () => {},
      (port) => expectAnswer({ target: https(port), ...onlyAgent({ connectTimeoutMs: 200 }) }, 504, 'target-timeout'),
    ));

  test('it does not speak TLS: target-tls', () =>
    withListener(
      (socket) => socket.end('SSH-2.0-no\r\n'),
      (port) => expectAnswer({ target: https(port) }, 502, 'target-tls'),
    ));

  test('its certificate is not trusted: target-certificate', async () => {
    const target = await startRawTarget({ tls: true });
    try {
      await expectAnswer(
        { target: { kind: 'https', host: 'localhost', port: target.port } },
        502,
        'target-certificate',
      );
    } finally {
      await target.close();
    }
  });
});

for (const exchanges of [false, true]) {
  describe(`a target that fails after it was reached (${exchanges ? 'exchanges parsed by the agent' : 'spliced'})`, () => {
    test('it is silent: 504, target-silent, after readTimeout', () =>
      withListener(
        (socket) => void socket.resume(),
        (port) => expectAnswer({ target: port, ...onlyAgent({ readTimeoutMs: 250, exchanges }) }, 504, 'target-silent'),
      ));

    test('it reads nothing of a body: 504, target-stalled, after writeTimeout', () =>
      withListener(
        (socket) => void socket.pause(),
        (port) =>
          withTunnel({ target: port, ...onlyAgent({ writeTimeoutMs: 1_000, exchanges }) }, async (tunnel) => {
            // More than all that is on the way keeps.
            const answer = await visit(tunnel, 'POST', 'x'.repeat(64 * 1024 * 1024));
            assert.deepEqual([answer.status, answer.code], [504, 'target-stalled'], answer.proxyStatus);
          }),
      ));

    test('it closes without an answer: 502, target-lost', () =>
      withListener(
        (socket) => socket.once('data', () => socket.end()),
        (port) => expectAnswer({ target: port, ...onlyAgent({ exchanges }) }, 502, 'target-lost'),
      ));

    test('it resets without an answer: 502, target-lost', () =>
      withListener(
        (socket) => socket.once('data', () => socket.resetAndDestroy()),
        (port) => expectAnswer({ target: port, ...onlyAgent({ exchanges }) }, 502, 'target-lost'),
      ));

    test('it answers with something that is not HTTP: 502, target-invalid', () =>
      withListener(
        (socket) => socket.once('data', () => socket.write('220 mail.test ESMTP\r\n\r\n')),
        (port) => expectAnswer({ target: port, ...onlyAgent({ exchanges }) }, 502, 'target-invalid'),
      ));

    for (const how of ['fin', 'reset'] as const) {
      test(`it dies in mid-body (${how}): the visitor sees that the body is cut`, () =>
        withListener(
          (socket) =>
            socket.once('data', () => {
              socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () => {
                setTimeout(() => (how === 'fin' ? socket.end() : socket.resetAndDestroy()), 50);
              });
            }),
          (port) =>
            withTunnel({ target: port, ...onlyAgent({ exchanges }) }, async (tunnel) => {
              const answer = await visit(tunnel);
              assert.equal(answer.status, 200);
              assert.equal(answer.body, 'half');
              assert.equal(answer.complete, false);
            }),
        ));
    }
  });
}

function https(port: number): TargetAddress {
  return { kind: 'https', host: 'localhost', port, ca: testAuthority().cert };
}
