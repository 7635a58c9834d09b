import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import * as http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { startEchoTarget } from '../support/echo-target.ts';
import { visit } from '../support/http-visitor.ts';
import { listenOn } from '../support/listen-on.ts';
import { connectPeer, type Peer, startRawTarget } from '../support/raw-target.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { DOMAIN, openTunnel, SECRET, type Tunnel, withTunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

/** Short, so that a test can wait for them; the defaults are 10 s. */
const READ_TIMEOUT_MS = 700;

let target: http.Server;
let tunnel: Tunnel;
/** Opened before anything bad happens: what must not be disturbed. */
let bystander: Peer;

before(async () => {
  target = http.createServer((request, response) => response.end(request.url));
  tunnel = await openTunnel({ target: await listenOn(target), server: { readTimeoutMs: READ_TIMEOUT_MS } });
  bystander = await connectPeer(tunnel.tcp);
});
after(async () => {
  await tunnel?.close();
  target.closeAllConnections();
  target.close();
});

/** The tunnel is still the first one, an old stream in it works, and so does a new request. */
async function nothingIsDisturbed(): Promise<void> {
  const closed = tunnel.serverEvents.of('tunnel-closed').map(({ tunnel: { instance } }) => instance);
  assert.ok(!closed.includes('first'), 'the tunnel is the one that was opened first');
  await bystander.send('GET /old HTTP/1.1\r\nHost: x\r\n\r\n');
  bystander.drop((await bystander.receivedText('\r\n\r\n/old')).length + 8);
  const visitor = await visit(tunnel.frontDoor, { tls: true, version: 'HTTP/2', path: '/new' });
  assert.equal((await within('an answer', visitor.ending)).verdict, 'clean');
  assert.equal((await visitor.bytes()).toString(), '/new');
  visitor.close();
}

describe('the front door', () => {
  test('bears 10 MB of garbage', async () => {
    for (const first of ['\x16\x03\x01', '\x16', '', 'GET / HTTP/1.1\r\n', 'SSH-2.0-x\r\n']) {
      const visitor = await connectPeer(tunnel.frontDoor);
      visitor.stream.write(Buffer.concat([Buffer.from(first, 'latin1'), randomBytes(10_000_000)]), () => {});
      await within('the end', visitor.ending);
      visitor.close();
    }
    await nothingIsDisturbed();
  });

  test('bears 10 MB of garbage behind a good TLS handshake', async () => {
    for (const alpn of ['h2', 'http/1.1']) {
      const visitor = await connectPeer(tunnel.frontDoor, { tls: true, alpn: [alpn] });
      visitor.stream.write(randomBytes(10_000_000), () => {});
      await within('the end', visitor.ending);
      visitor.close();
    }
    await nothingIsDisturbed();
  });

  test(
    'ends a half handshake, and every other silence before a request, at its deadline',
    undisturbed(async () => {
      const hello = await clientHello();
      const silences: Promise<Peer>[] = [
        connectPeer(tunnel.frontDoor),
        connectPeer(tunnel.frontDoor).then(async (visitor) => {
          await visitor.send(hello.subarray(0, hello.length / 2));
          return visitor;
        }),
        connectPeer(tunnel.frontDoor).then(async (visitor) => {
          await visitor.send(hello);
          return visitor;
        }),
        connectPeer(tunnel.frontDoor, { tls: true, alpn: ['http/1.1'] }),
        connectPeer(tunnel.frontDoor, { tls: true, alpn: ['h2'] }),
        connectPeer(tunnel.frontDoor, { tls: true }).then(async (visitor) => {
          await visitor.send(`GET / HTTP/1.1\r\nHost: ${DOMAIN}\r\nX-Slow:`);
          return visitor;
        }),
      ];
      for (const visitor of await Promise.all(silences)) {
        await within('the end of a silent visitor', visitor.ending, READ_TIMEOUT_MS + 7_000);
        visitor.close();
      }
      await nothingIsDisturbed();
    }),
  );
});

describe('a handshake of an agent', () => {
  const good = {
    path: '/.well-known/backdial-agent',
    upgrade: 'ptth',
    authorization: `Bearer ${SECRET}`,
    domain: DOMAIN,
  };

  /** The answer, without what differs from one answer to the next. */
  async function shake(given: Partial<typeof good>): Promise<string> {
    const { path, upgrade, authorization, domain } = { ...good, ...given };
    const visitor = await connectPeer(tunnel.frontDoor, { tls: true });
    const fields = [
      `Host: ${DOMAIN}`,
      'Connection: Upgrade',
      `Upgrade: ${upgrade}`,
      'ALPN: h2',
      `Authorization: ${authorization}`,
      `Backdial-Domain: ${domain}`,
      'Backdial-Instance: other',
      'Backdial-Slot: 0',
    ];
    await visitor.send(`GET ${path} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
    const head = await visitor.receivedText('\r\n\r\n');
    visitor.close();
    return head.replace(/^(date|x-transaction-id): .*\r\n/gim, '');
  }

  test('with the right secret is answered with 101: the others below differ in one thing only', async () => {
    assert.match(await shake({}), /^HTTP\/1\.1 101 /);
  });

  test('with a wrong secret or an unknown domain is refused, both alike, and the log says why', async () => {
    const before = tunnel.serverEvents.all.length;
    const wrongSecret = await shake({ authorization: 'Bearer a wrong secret of enough bytes' });
    const noSecret = await shake({ authorization: 'Digest x' });
    const unknown = await shake({ domain: 'unknown.example.com' });
    assert.match(wrongSecret, /^HTTP\/1\.1 404 /);
    assert.equal(unknown, wrongSecret);
    assert.equal(noSecret, wrongSecret);
    const reasons = tunnel.serverEvents.all
      .slice(before)
      .flatMap((event) => (event.type === 'handshake-refused' ? [event.reason] : []));
    assert.deepEqual([reasons[0], reasons.at(-1)], ['secret-wrong', 'domain-unknown']);
    await nothingIsDisturbed();
  });

  test('with a wrong Upgrade or path is what any other request is', async () => {
    for (const given of [{ upgrade: 'websocket' }, { upgrade: 'h2c' }, { path: '/.well-known/other' }]) {
      assert.doesNotMatch(await shake(given), /^HTTP\/1\.1 101 .*ptth/s);
    }
    await nothingIsDisturbed();
  });
});

test('garbage in a tunnel ends that tunnel alone, visibly, and its agent comes back', async () => {
  const echo = await startEchoTarget('hi');
  using stack = new DisposableStack();
  stack.defer(() => echo.close());
  await withTunnel({ target: echo.address, link: {} }, async ({ link, tcp, serverEvents, agentEvents }) => {
    for (const direction of ['up', 'down'] as const) {
      const opened = serverEvents.of('tunnel-opened').length;
      const visitor = await connectPeer(tcp);
      await visitor.received(2);
      link.garble(direction);
      assert.equal((await within('the end', visitor.ending)).verdict, 'reset');
      await serverEvents.until('tunnel-opened', opened + 1);
      const again = await connectPeer(tcp);
      await again.send(' there');
      await again.receivedText('hi there');
      again.close();
    }
    for (const events of [serverEvents, agentEvents]) {
      const closed = await events.until('tunnel-closed', 2);
      assert.deepEqual(
        closed.map(({ reason }) => reason),
        ['lost', 'lost'],
      );
    }
  });
});

/** What Node sends first on a TLS connection. */
async function clientHello(): Promise<Buffer> {
  const listener = await startRawTarget();
  const probe = connectPeer(listener.port, { tls: true }).catch(() => {});
  const peer = await listener.next();
  await peer.received(200);
  const hello = peer.bytes;
  await listener.close();
  await probe;
  return hello;
}
