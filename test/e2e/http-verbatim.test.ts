import assert from 'node:assert/strict';
import * as http2 from 'node:http2';
import { after, before, describe, test } from 'node:test';
import { connectPeer, type Peer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { connectWire } from '../support/sockets.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

let target: RawTarget;
let tunnel: Tunnel;
/** The same, but that the agent parses what it passes on. */
let routed: Tunnel;

before(async () => {
  target = await startRawTarget();
  tunnel = await openTunnel({ target: target.port });
  routed = await openTunnel({ target: target.port, agent: { exchanges: true } });
});
after(async () => {
  await tunnel.close();
  await routed.close();
  await target.close();
});

/** A request head as the target got it, line by line. */
async function headAt(far: Peer): Promise<string[]> {
  const head = await far.receivedText('\r\n\r\n');
  far.drop(head.length + 4);
  return head.split('\r\n');
}

/** Ends an exchange in peace: a target that only went away would be asked again. The answer must be the target's. */
async function settle(visitor: Peer, far: Peer): Promise<void> {
  await far.send('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n');
  far.fin();
  assert.match(await visitor.receivedText('\r\n\r\n'), /^HTTP\/1\.1 204 /);
  visitor.close();
}

/** Lines that the server adds or may change; what is left must be as it was sent. */
const OURS = /^(x-forwarded-|x-transaction-id:|via:|connection:|host:)/i;

const ODD_PATHS = [
  '//double//slash',
  '/%2525zz',
  '/a;b=c;d',
  '/./../a/..%2f%2e%2e/',
  '/CaSe/%C3%a9%c3%A9',
  '/?a=b&&a=%20+&=&c',
  '/?',
  '/a%00b',
  '/!$&\'()*,:@~[]{}|^`"<>\\',
];

describe('a request over HTTP/1.1', () => {
  test('reaches the target with its path byte for byte (known faults: 301 on `//`; `%2525zz` crashes the agent)', async () => {
    for (const [path, { frontDoor }] of ODD_PATHS.flatMap((each) => [
      [each, tunnel] as const,
      [each, routed] as const,
    ])) {
      const visitor = await connectPeer(frontDoor, { tls: true });
      await visitor.send(`GET ${path} HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n`);
      const far = await target.next();
      assert.equal((await headAt(far))[0], `GET ${path} HTTP/1.1`);
      await settle(visitor, far);
    }
  });

  test('reaches the target with its fields in order, in their case, none merged', async () => {
    const fields = [
      'User-Agent: a  b',
      'ACCEPT: text/html',
      'accept: text/plain',
      'Cookie: a=1',
      'Cookie: b="2, 3"',
      'X-Empty:',
      'x-LIST: 1, 2,,3',
      'X-List: 4',
      "!#$%&'*+-.^`|~: odd but a token",
      'If-None-Match: W/"x", "y"',
      'X-Latin: caf\u00e9',
      'Authorization: Basic Zm9vOmJhcg==',
      // Belongs to the hop, so it is said anew, behind the rest.
      'TE: trailers',
    ];
    const visitor = await connectPeer(tunnel.frontDoor, { tls: true });
    await visitor.send(
      Buffer.from(`GET / HTTP/1.1\r\nHost: www.example.com\r\n${fields.join('\r\n')}\r\n\r\n`, 'latin1'),
    );
    const far = await target.next();
    const lines = (await headAt(far)).slice(1).filter((line) => !OURS.test(line));
    assert.deepEqual(
      lines.map((line) => line.replace(/:\s*/, ': ').trim()),
      fields.map((line) => line.replace(/:\s*/, ': ').trim()),
    );
    await settle(visitor, far);
  });

  test('loses what belongs to the hop, and what only the server may say', async () => {
    const gone = [
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic eDp5',
      'X-Hop: 1',
      'X-Client-Cert-Subject: CN=forged',
      'Backdial-Client: 192.0.2.1:1',
      'Under_Score: 1',
    ];
    const forged = [
      'X-Forwarded-For: 192.0.2.1',
      'X-Forwarded-Proto: gopher',
      'X-Forwarded-Host: forged.test',
      'X-Forwarded-Port: 1',
      'X-Transaction-Id: forged',
    ];
    const visitor = await connectPeer(tunnel.frontDoor, { tls: true });
    const fields = ['Connection: keep-alive, x-hop', ...gone, ...forged].join('\r\n');
    await visitor.send(`GET / HTTP/1.1\r\nHost: www.example.com\r\n${fields}\r\n\r\n`);
    const far = await target.next();
    const text = (await headAt(far)).join('\n').toLowerCase();
    for (const line of gone) assert.ok(!text.includes(`\n${line.slice(0, line.indexOf(':')).toLowerCase()}:`), line);
    for (const line of forged)
      assert.equal(text.split(`\n${line.slice(0, line.indexOf(':')).toLowerCase()}:`).length, 2, line);
    assert.ok(!text.includes('forged') && !text.includes('192.0.2.1') && !text.includes('gopher'));
    assert.match(text, /\nx-forwarded-for: 127\.0\.0\.1\n/);
    assert.match(text, /\nx-forwarded-proto: https(\n|$)/);
    assert.match(text, /\nx-forwarded-port: 443(\n|$)/);
    assert.match(text, /\nx-forwarded-host: www\.example\.com(\n|$)/);
    assert.match(text, /\nx-transaction-id: [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\n|$)/);
    assert.match(text, /\nvia: 1\.1 /);
    await settle(visitor, far);
  });

  test('keeps its framing: a DELETE with a chunked body is chunked, one with a length has it', async () => {
    for (const [field, body] of [
      ['Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'],
      ['Content-Length: 5', 'hello'],
    ] as const) {
      const visitor = await connectPeer(tunnel.frontDoor, { tls: true });
      await visitor.send(`DELETE /x HTTP/1.1\r\nHost: www.example.com\r\n${field}\r\n\r\n${body}`);
      const far = await target.next();
      const head = await headAt(far);
      assert.ok(
        head.some((line) => line.toLowerCase() === field.toLowerCase()),
        head.join('\n'),
      );
      await far.received(body.length);
      assert.equal(far.text, body);
      await settle(visitor, far);
    }
  });
});

describe('an answer', () => {
  const fields = [
    'Set-Cookie: a=1; Path=/; HttpOnly',
    'Vary: accept',
    'set-cookie: b="2, 3"; Expires=Wed, 21 Oct 2026 07:28:00 GMT',
    'Vary: Origin',
    'Link: </a>; rel=preload',
    'Link: </b>; rel=preload',
    'WWW-Authenticate: Basic realm="a, b"',
    'WWW-Authenticate: Bearer',
    'X-MiXeD: CaSe',
    'X-Latin: caf\u00e9',
    'Date: Tue, 01 Jan 2030 00:00:00 GMT',
    'Server: the target',
  ];
  const hop = ['Keep-Alive: timeout=1', 'Connection: keep-alive, X-Hop', 'X-Hop: 1', 'Alt-Svc: h3=":443"'];

  async function answer(far: Peer): Promise<void> {
    const head = ['HTTP/1.1 203 Odd Reason', ...fields, ...hop, 'Content-Length: 2'].join('\r\n');
    await far.send(Buffer.from(`${head}\r\n\r\nok`, 'latin1'));
  }

  test('reaches an HTTP/1.1 visitor with its status, its fields in order and case, none merged (known faults: only the first of several Vary/Link survives; cookies re-serialised)', async () => {
    for (const { frontDoor } of [tunnel, routed]) {
      const visitor = await connectPeer(frontDoor, { tls: true });
      await visitor.send('GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
      const far = await target.next();
      await headAt(far);
      await answer(far);
      const lines = (await visitor.receivedText('\r\n\r\n')).split('\r\n');
      assert.equal(lines[0], 'HTTP/1.1 203 Odd Reason');
      assert.deepEqual(
        lines.filter((line) => fields.includes(line)),
        fields,
      );
      assert.ok(!lines.some((line) => /^(x-hop|alt-svc)/i.test(line)));
      assert.equal(lines.filter((line) => /^date:/i.test(line)).length, 1);
      far.fin();
      visitor.close();
    }
  });

  test('reaches an HTTP/2 visitor with its status and its fields in order, none merged', async () => {
    const wire = await connectWire(tunnel.frontDoor, { tls: true, alpn: ['h2'], halfOpen: false });
    const session = http2.connect('https://www.example.com', { createConnection: () => wire.stream });
    session.on('error', () => {});
    const stream = session.request({ ':path': '/%2525//' });
    const head = new Promise<[number, string[]]>((resolve) => {
      stream.on('response', (headers, _flags, raw) =>
        resolve([Number(headers[':status']), raw as unknown as string[]]),
      );
    });
    const far = await target.next();
    assert.equal((await headAt(far))[0], 'GET /%2525// HTTP/1.1');
    await answer(far);
    const [status, raw] = await within('the response', head);
    assert.equal(status, 203);
    const pairs: string[] = [];
    for (let at = 0; at < raw.length; at += 2) pairs.push(`${raw[at]}: ${raw[at + 1]}`);
    const expected = fields.map((line) => line.replace(/^[^:]+/, (name) => name.toLowerCase()));
    assert.deepEqual(
      pairs.filter((line) => expected.includes(line)),
      expected,
    );
    assert.ok(!pairs.some((line) => /^(x-hop|alt-svc|connection|keep-alive)/.test(line)));
    session.destroy();
    far.fin();
  });

  test('without a body has none: HEAD, 204 and 304', async () => {
    for (const [method, status] of [
      ['HEAD', '200 OK'],
      ['GET', '204 No Content'],
      ['GET', '304 Not Modified'],
    ]) {
      const visitor = await connectPeer(tunnel.frontDoor, { tls: true });
      await visitor.send(`${method} / HTTP/1.1\r\nHost: www.example.com\r\n\r\n`);
      const far = await target.next();
      await headAt(far);
      await far.send(`HTTP/1.1 ${status}\r\nETag: "x"\r\n${method === 'HEAD' ? 'Content-Length: 1000\r\n' : ''}\r\n`);
      const head = await visitor.receivedText('\r\n\r\n');
      visitor.drop(head.length + 4);
      assert.equal(/^content-length: 1000/im.test(head), method === 'HEAD');
      // The connection is ready for the next request: nothing of a body is waited for or sent.
      await visitor.send('GET /next HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
      assert.match((await headAt(far))[0] ?? '', /^GET \/next /);
      assert.equal(visitor.length, 0);
      await settle(visitor, far);
    }
  });
});
