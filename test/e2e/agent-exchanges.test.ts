import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { testAuthority } from '../support/certificates.ts';
import { Inbox } from '../support/inbox.ts';
import { connectPeer, startRawTarget } from '../support/raw-target.ts';
import { withRouted } from '../support/routed.ts';
import { startToldTarget } from '../support/told-target.ts';
import { DOMAIN, type Tunnel, withTunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

const VISITOR_TLS = { servername: DOMAIN, ca: testAuthority().cert };
const KEPT_ALIVE = { keepAlive: true, maxSockets: 1 };

/** A tunnel whose agent parses, in front of a target of node:http. */
async function withTarget(
  listener: RequestListener,
  body: (tunnel: Tunnel, server: ReturnType<typeof createServer>) => Promise<void>,
): Promise<void> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    await withTunnel({ target: port, agent: { exchanges: true } }, (tunnel) => body(tunnel, server));
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function send(
  tunnel: Tunnel,
  options: { method?: string; path?: string; headers?: Record<string, string | string[]>; agent?: Agent },
) {
  const { headers, ...rest } = options;
  return request({
    host: '127.0.0.1',
    port: tunnel.frontDoor,
    ...VISITOR_TLS,
    agent: false,
    ...rest,
    headers: { host: DOMAIN, ...headers },
  });
}

async function responseOf(sent: ReturnType<typeof send>): Promise<IncomingMessage> {
  const [response] = await within('a response', once(sent, 'response'));
  return response;
}

describe('an agent that parses exchanges', () => {
  test('tells of each: method, path, status, bytes and who asked', () =>
    withTarget(
      (incoming, response) => {
        incoming.resume();
        incoming.on('end', () => response.writeHead(incoming.url === '/gone' ? 410 : 200).end('body'));
      },
      async (tunnel) => {
        const agent = new Agent(KEPT_ALIVE);
        for (const path of ['/one?a=1', '/gone']) {
          const sent = send(tunnel, {
            method: 'POST',
            path,
            agent,
            headers: { 'user-agent': 'test/1', referer: '/x' },
          });
          sent.end('hello');
          await buffer(await responseOf(sent));
        }
        agent.destroy();
        const records = (await tunnel.agentEvents.until('access', 2)).map(({ record }) => record);
        assert.deepEqual(
          records.map(({ method, path, status, reason }) => [method, path, status, reason]),
          [
            ['POST', '/one?a=1', 200, 'done'],
            ['POST', '/gone', 410, 'done'],
          ],
        );
        const [first] = records;
        assert.deepEqual([first?.in, first?.out, first?.ua, first?.referer], [5, 4, 'test/1', '/x']);
        assert.equal(first?.remote, '127.0.0.1');
        const servers = (await tunnel.serverEvents.until('access', 2)).map(({ record }) => record.id);
        assert.deepEqual(
          records.map(({ id }) => id),
          servers,
        );
      },
    ));

  test('names the visitor behind believed proxies as the server does, and a target is not told who that is', async () => {
    const target = await startToldTarget('one');
    const options = {
      keys: `targets: { path: "^/", target: "http://127.0.0.1:${target.port}" }`,
      serverDomain: {
        forward: [
          { address: '127.0.0.1', prefix: 32 },
          { address: '10.0.0.0', prefix: 8 },
        ],
      },
    };
    const visitor = '203.0.113.7';
    const lists = [
      visitor,
      `198.51.100.1, ${visitor}`,
      `${visitor}, 10.0.0.2`,
      `198.51.100.1, ${visitor}:443, 10.0.0.2`,
    ];
    const forged = ['--header', 'Backdial-Client: 192.0.2.1:1'];
    try {
      await withRouted(options, async ({ curl, agentEvents }) => {
        for (const list of lists) await curl('/', '--header', `X-Forwarded-For: ${list}`, ...forged);
        await curl('/', ...forged);
        const records = (await agentEvents.until('access', lists.length + 1)).map(({ record }) => record.remote);
        assert.deepEqual(records, [...lists.map(() => visitor), '127.0.0.1']);
      });
      assert.equal(target.seen.length, lists.length + 1);
      for (const request of target.seen) assert.deepEqual(request.values('backdial-client'), []);
    } finally {
      await target.close();
    }
  });

  test('keeps the connection to the target as long as the stream; a target that closes it costs no request', () => {
    const connections = new Set<unknown>();
    return withTarget(
      (incoming, response) => {
        connections.add(incoming.socket);
        if (incoming.url === '/last') response.setHeader('Connection', 'close');
        response.end('x');
      },
      async (tunnel) => {
        const agent = new Agent(KEPT_ALIVE);
        for (const path of ['/1', '/2', '/3', '/last', '/5', '/6']) {
          const sent = send(tunnel, { path, agent });
          sent.end();
          const response = await responseOf(sent);
          assert.equal(response.statusCode, 200);
          await buffer(response);
        }
        agent.destroy();
        assert.equal(connections.size, 2);
      },
    );
  });

  test('a target that will not take another request costs no stream', () =>
    withTarget(
      (incoming, response) =>
        response.setHeader('Connection', incoming.url === '/last' ? 'close' : 'keep-alive').end('x'),
      async (tunnel) => {
        const stream = await tunnel.server.dial(DOMAIN, { way: 'https' });
        const answers = new Inbox(stream);
        for (const path of ['/', '/last', '/']) {
          stream.write(`GET ${path} HTTP/1.1\r\nHost: ${DOMAIN}\r\n\r\n`);
          const head = await answers.receivedText('\r\n\r\nx');
          answers.drop(head.length + 5);
          assert.match(`${head}\r\n`, /^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*Connection: keep-alive\r\n/);
        }
        stream.end();
      },
    ));

  test('passes heads, interim responses and trailers as they are', async () => {
    const target = await startRawTarget();
    try {
      await withTunnel({ target: target.port, agent: { exchanges: true } }, async (tunnel) => {
        const lines = Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`X-Line-${i}`, `${i}`]));
        const sent = send(tunnel, {
          path: '//a/%2525zz/../b;c?q=%20',
          headers: { ...lines, 'X-Case-Kept': ['one', 'two'], TE: 'trailers', Connection: 'TE' },
        });
        sent.end();
        const peer = await target.next();
        const head = await peer.receivedText('\r\n\r\n');
        assert.match(head, /^GET \/\/a\/%2525zz\/\.\.\/b;c\?q=%20 HTTP\/1\.1\r\n/);
        assert.match(head, /\r\nX-Case-Kept: one\r\nX-Case-Kept: two\r\n/);
        assert.match(head, /\r\nX-Line-89: 89\r\n/);
        assert.match(head, /\r\nTE: trailers(\r\n|$)/);
        assert.match(head, /\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/);
        const hints = once(sent, 'information');
        await peer.send('HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n');
        const [interim] = await within('the hints', hints);
        assert.equal(interim.statusCode, 103);
        const fields = 'Set-Cookie: a=1\r\nSet-Cookie: b=2; Path=/\r\nX-MiXed: y\r\nTrailer: X-Sum\r\n';
        await peer.send(`HTTP/1.1 200 Fine\r\n${fields}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`);
        const response = await responseOf(sent);
        assert.equal(response.statusMessage, 'Fine');
        assert.deepEqual(response.headers['set-cookie'], ['a=1', 'b=2; Path=/']);
        assert.ok(response.rawHeaders.includes('X-MiXed'));
        await peer.send('0\r\nX-Sum: 42\r\n\r\n');
        assert.equal(String(await buffer(response)), 'ok');
        assert.equal(response.trailers['x-sum'], '42');
      });
    } finally {
      await target.close();
    }
  });

  test('passes Expect: 100-continue and large bodies in both directions', () =>
    withTarget(
      (incoming, response) => void incoming.pipe(response),
      async (tunnel) => {
        const body = randomBytes(8 * 1024 * 1024);
        const sent = send(tunnel, { method: 'PUT', headers: { expect: '100-continue' } });
        sent.flushHeaders();
        await within('100 Continue', once(sent, 'continue'));
        sent.end(body);
        const echoed = await buffer(await responseOf(sent));
        assert.equal(sha256(echoed), sha256(body));
        const [access] = await tunnel.agentEvents.until('access');
        assert.deepEqual([access?.record.in, access?.record.out], [body.length, body.length]);
      },
    ));

  test('passes WebSockets, and says 101', () =>
    withTarget(
      (_incoming, response) => response.writeHead(400).end(),
      async (tunnel, server) => {
        new WebSocketServer({ server }).on('connection', (socket) => {
          socket.send('hello');
          socket.on('message', (data) => socket.send(`you said ${data}`));
        });
        const client = new WebSocket(`wss://127.0.0.1:${tunnel.frontDoor}/chat`, {
          ...VISITOR_TLS,
          headers: { host: DOMAIN },
        });
        const heard: string[] = [];
        client.on('message', (data) => {
          heard.push(String(data));
          if (heard.length === 1) client.send('ping');
          else client.close();
        });
        await within('the close', once(client, 'close'));
        assert.deepEqual(heard, ['hello', 'you said ping']);
        const [access] = await tunnel.agentEvents.until('access');
        const { method, path, status, reason } = access?.record ?? {};
        assert.deepEqual([method, path, status, reason], ['GET', '/chat', 101, 'done']);
      },
    ));

  test('an upgrade that the target declines is its plain answer', () =>
    withTarget(
      (_incoming, response) => response.writeHead(426).end('no'),
      async (tunnel) => {
        const sent = send(tunnel, { headers: { Connection: 'Upgrade', Upgrade: 'other' } });
        sent.end();
        const response = await responseOf(sent);
        assert.equal(response.statusCode, 426);
        assert.equal(String(await buffer(response)), 'no');
        assert.equal((await tunnel.agentEvents.until('access'))[0]?.record.status, 426);
      },
    ));

  test('a visitor that leaves is a reset for the target, and visitor-reset in the log', async () => {
    const target = await startRawTarget();
    try {
      await withTunnel({ target: target.port, agent: { exchanges: true } }, async (tunnel) => {
        const visitor = await connectPeer(tunnel.frontDoor, { tls: true, alpn: ['http/1.1'] });
        await visitor.send(`GET /slow HTTP/1.1\r\nHost: ${DOMAIN}\r\n\r\n`);
        const peer = await target.next();
        await peer.receivedText('\r\n\r\n');
        visitor.reset();
        assert.equal((await within('the end', peer.ending)).verdict, 'reset');
        const [access] = await tunnel.agentEvents.until('access');
        assert.deepEqual([access?.record.path, access?.record.reason], ['/slow', 'visitor-reset']);
      });
    } finally {
      await target.close();
    }
  });

  test('byte streams of other ways are spliced as ever', async () => {
    const target = await startRawTarget();
    try {
      await withTunnel({ target: target.port, agent: { exchanges: true } }, async (tunnel) => {
        const stream = await tunnel.server.dial(DOMAIN);
        stream.write('not HTTP');
        const peer = await target.next();
        await peer.received(8);
        assert.equal(peer.text, 'not HTTP');
        stream.destroy();
        assert.equal((await tunnel.agentEvents.until('access'))[0]?.record.method, null);
      });
    } finally {
      await target.close();
    }
  });
});

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
