import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import * as net from 'node:net';
import { describe, it } from 'node:test';
import * as tls from 'node:tls';
import { type AccessKit, withAccess } from '../support/access.ts';
import { testAuthority } from '../support/certificates.ts';
import { within } from '../support/within.ts';

/** Guarded by `networks`, in which no visitor of this test is, and by `credentials`, which none of them knows. */
const GUARDED = ['net.example.com', 'login.example.com'] as const;
const OPEN = 'open.example.com';
const ALLOWED = '192.0.2.7';

const OPTIONS = {
  domains: {
    [OPEN]: '',
    // A proxy that is believed, but from which nobody comes here.
    'net.example.com': `networks: "127.0.0.0/8", forward: "192.0.2.0/24", clients: { networks: "${ALLOWED}" }`,
    'login.example.com': 'forward: "192.0.2.0/24", clients: { credentials: "user:password" }',
    // Whoever serves `net.example.com` as the instance `one` must not be reached under this policy.
    '*.net.example.com': '',
    '*.login.example.com': '',
  },
  unserved: ['*.net.example.com', '*.login.example.com'],
};

/** Tries to get `/secret` of `host`; the answers, if any. */
type Way = (kit: AccessKit, host: string) => Promise<string>;

const get = (host: string, ...lines: string[]) =>
  ['GET /secret HTTP/1.1', `Host: ${host}`, ...lines, 'Connection: close', '', ''].join('\r\n');
const withHeader =
  (...lines: string[]): Way =>
  (kit, host) =>
    kit.raw(host, get(host, ...lines));
const withBytes =
  (sni: (host: string) => string | null, bytes: (host: string) => string): Way =>
  (kit, host) =>
    kit.raw(sni(host), bytes(host));
const curl =
  (...flags: string[]): Way =>
  async (kit, host) =>
    (await kit.curl(host, '/secret', ...flags)).text;
const itself = (host: string) => host;
const another = () => OPEN;

/** One request on an HTTP/2 connection that was opened for `sni`. */
const overHttp2 =
  (sni: (host: string) => string, headers: (host: string) => http2.OutgoingHttpHeaders): Way =>
  async ({ port }, host) => {
    const servername = sni(host);
    const session = http2.connect(`https://127.0.0.1:${port}`, { servername, ca: testAuthority().cert });
    session.on('error', () => {});
    const { promise, resolve } = Promise.withResolvers<string>();
    const stream = session.request({ ':path': '/secret', ...headers(host) });
    let text = '';
    stream.on('response', (head) => {
      text += `${head[':status']}\n`;
    });
    stream.setEncoding('latin1').on('data', (chunk) => {
      text += chunk;
    });
    stream.on('error', () => {});
    stream.on('close', () => resolve(text));
    return within('an answer', promise).finally(() => session.destroy());
  };

/** TLS session of `from`, resumed for `to`, on which the guarded host is asked for. */
const resumed =
  (version: tls.SecureVersion): Way =>
  async ({ port }, host) => {
    const options = { port, host: '127.0.0.1', ca: testAuthority().cert, minVersion: version, maxVersion: version };
    const first = tls.connect({ ...options, servername: OPEN });
    const [session] = await within('a session', once(first, 'session'));
    first.destroy();
    const second = tls.connect({ ...options, servername: host, session });
    let text = '';
    second.setEncoding('latin1').on('data', (chunk) => {
      text += chunk;
    });
    second.write(get(host));
    second.on('error', () => {});
    await within('the end', once(second, 'close'));
    return text;
  };

/** A line of the PROXY protocol in front of everything, or in front of the request. */
const proxyLine: Way = async ({ port }, host) => {
  const raw = net.connect(port, '127.0.0.1');
  raw.on('error', () => {});
  raw.write(`PROXY TCP4 ${ALLOWED} 127.0.0.1 1234 443\r\n`);
  const socket = tls.connect({ socket: raw, servername: host, ca: testAuthority().cert });
  socket.on('error', () => {});
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.write(get(host));
  await within('the end', once(raw, 'close'));
  return text;
};

const smuggled = (host: string) => get(host).replaceAll('Connection: close\r\n', '');

const WAYS: Readonly<Record<string, Way>> = {
  nothing: withHeader(),
  'X-Forwarded-For': withHeader(`X-Forwarded-For: ${ALLOWED}`),
  'X-Forwarded-For, several times, with and without a list': withHeader(
    `X-Forwarded-For: ${ALLOWED}`,
    `X-Forwarded-For: ${ALLOWED}, 127.0.0.1`,
  ),
  Forwarded: withHeader(`Forwarded: for=${ALLOWED};by=127.0.0.1;host=${OPEN};proto=https`),
  'X_Forwarded_For and other spellings': withHeader(`X_Forwarded_For: ${ALLOWED}`, `x-FORWARDED-for: ${ALLOWED}`),
  'X-Real-IP, True-Client-IP and their like': withHeader(
    ...[
      'X-Real-IP',
      'True-Client-IP',
      'CF-Connecting-IP',
      'X-Client-IP',
      'X-Remote-Addr',
      'Remote-Addr',
      'Client-IP',
    ].map((name) => `${name}: ${ALLOWED}`),
  ),
  'X-Forwarded-Host and X-Original-URL': withHeader(
    `X-Forwarded-Host: ${OPEN}`,
    `X-Host: ${OPEN}`,
    `X-Original-URL: https://${OPEN}/`,
    'X-Rewrite-URL: /',
  ),
  'Connection: X-Forwarded-For': withHeader(
    `X-Forwarded-For: ${ALLOWED}`,
    'Connection: X-Forwarded-For, Host, Authorization',
  ),
  "Backdial's own headers": withHeader(
    `Backdial-Client: ${ALLOWED}:1234`,
    'Backdial-Way: library',
    `Backdial-Domain: ${OPEN}`,
    'X-Client-Cert-Subject: CN=root',
  ),
  'Host in capitals, with a port and a trailing dot': withBytes(itself, (host) => get(`${host.toUpperCase()}.:8443`)),
  'SNI of another domain': withBytes(another, (host) => get(host)),
  'no SNI': withBytes(
    () => null,
    (host) => get(host),
  ),
  'absolute-form with the Host of another domain': withBytes(another, (host) =>
    get(OPEN).replace('/secret', `https://${host}/secret`),
  ),
  'absolute-form of another domain with the Host': withBytes(another, (host) =>
    get(host).replace('/secret', `https://${OPEN}/secret`),
  ),
  'absolute-form with a user': withBytes(itself, (host) =>
    get(host).replace('/secret', `https://user:password@${host}/secret`),
  ),
  'two Hosts, the other first': withBytes(another, (host) => get(OPEN, `Host: ${host}`)),
  'two Hosts, the other last': withBytes(itself, (host) => get(host, `Host: ${OPEN}`)),
  'a list in Host': withBytes(another, (host) => get(`${OPEN}, ${host}`)),
  'a user in Host': withBytes(another, (host) => get(`${OPEN}@${host}`)),
  'a Host on a folded line': withBytes(another, (host) => get(`${OPEN}\r\n ${host}`)),
  'a blank before the colon of Host': withBytes(another, (host) => get(OPEN, `Host : ${host}`)),
  'an instance of the domain as host': withBytes(
    (host) => `one.${host}`,
    (host) => get(`one.${host}`),
  ),
  'a pipelined second request': withBytes(another, (host) => `GET /open HTTP/1.1\r\nHost: ${OPEN}\r\n\r\n${get(host)}`),
  'a request behind a body of doubtful length': withBytes(
    another,
    (host) =>
      `POST /open HTTP/1.1\r\nHost: ${OPEN}\r\nContent-Length: ${smuggled(host).length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled(host)}`,
  ),
  'a request behind a body in chunks of doubtful end': withBytes(
    another,
    (host) => `POST /open HTTP/1.1\r\nHost: ${OPEN}\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${get(host)}`,
  ),
  'an upgrade to WebSocket': withBytes(itself, (host) =>
    get(host, 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==').replace(
      'Connection: close',
      'Connection: Upgrade',
    ),
  ),
  "an agent's handshake": withBytes(itself, (host) =>
    get(host, 'Upgrade: ptth', 'ALPN: h2', `Backdial-Domain: ${host}`, `Authorization: Bearer ${'x'.repeat(30)}`)
      .replace('Connection: close', 'Connection: Upgrade')
      .replace('/secret', '/.well-known/backdial-agent'),
  ),
  'a CONNECT': withBytes(another, (host) => `CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n${get(host)}`),
  'a line of the PROXY protocol': proxyLine,
  'a resumed TLS 1.2 session of another domain': resumed('TLSv1.2'),
  'a resumed TLS 1.3 session of another domain': resumed('TLSv1.3'),
  'an HTTP/2 connection of another domain': overHttp2(another, (host) => ({ ':authority': host })),
  'HTTP/2, :authority of another domain and the host': overHttp2(another, (host) => ({ ':authority': OPEN, host })),
  'HTTP/2, the :authority and another host': overHttp2(itself, (host) => ({ ':authority': host, host: OPEN })),
  'HTTP/2, no :authority': overHttp2(another, (host) => ({ ':authority': '', host })),
  'HTTP/2 and X-Forwarded-For': overHttp2(itself, (host) => ({
    ':authority': host,
    'x-forwarded-for': ALLOWED,
    forwarded: `for=${ALLOWED}`,
  })),
  'HTTP/2 and a port of its own': overHttp2(another, (host) => ({ ':authority': `${host}:8443` })),
  'curl, with all that it can': curl(
    '--header',
    `X-Forwarded-For: ${ALLOWED}`,
    '--header',
    `Forwarded: for=${ALLOWED}`,
    '--user',
    'user:guess',
  ),
  'a guessed login': withHeader(`Authorization: Basic ${btoa('user:guess')}`),
  'a login for proxies': withHeader(`Proxy-Authorization: Basic ${btoa('user:password')}`),
  'a login twice': withHeader(...Array.from({ length: 2 }, () => `Authorization: Basic ${btoa('user:password')}`)),
  'a login in a list': withHeader(`Authorization: Basic ${btoa('user:password')}, Basic ${btoa('user:password')}`),
  'a login of another name': withHeader(
    `Authorization_: Basic ${btoa('user:password')}`,
    `X-Authorization: Basic ${btoa('user:password')}`,
    `Cookie: Authorization=Basic ${btoa('user:password')}`,
  ),
  'a login that Connection takes away': withHeader(
    `Authorization: Basic ${btoa('user:password')}`,
    'Connection: Authorization',
  ),
};

describe('a filter of networks or of credentials', () => {
  it('is passed by none of these ways to forge address, host and login', async () => {
    assert.ok(Object.keys(WAYS).length >= 40);
    await withAccess(OPTIONS, async (kit) => {
      for (const [name, way] of Object.entries(WAYS)) {
        for (const host of GUARDED) {
          const from = kit.seen.length;
          const text = await way(kit, host);
          const reached = kit.seen.slice(from).filter(({ host: seen, path }) => path !== '/open' || seen !== OPEN);
          assert.deepEqual(reached, [], `${name} (${host}): ${text}`);
        }
      }
    });
  });

  it('is passed by who may, with what the server says of the visitor and nothing else', async () => {
    const domains = {
      'net.example.com': 'clients: { networks: "127.0.0.2" }',
      'login.example.com': 'clients: { credentials: "user:password" }',
    };
    await withAccess({ domains }, async ({ curl, seen }) => {
      const forged = [
        'X-Forwarded-For',
        'X-Forwarded-Host',
        'X-Forwarded-Proto',
        'X-Forwarded-Port',
        'X-Transaction-Id',
        'X_Forwarded_For',
      ];
      const flags = [
        ...forged.flatMap((name) => ['--header', `${name}: 192.0.2.7`]),
        '--header',
        `Connection: ${forged.join(', ')}`,
      ];
      await curl('net.example.com', '/', '--http1.1', '--interface', '127.0.0.2', ...flags);
      await curl(
        'login.example.com',
        '/',
        '--http1.1',
        '--interface',
        '127.0.0.2',
        '--user',
        'user:password',
        ...flags,
      );
      assert.deepEqual(
        seen.map(({ host }) => host),
        Object.keys(domains),
      );
      for (const request of seen) {
        assert.deepEqual(request.values('x-forwarded-for'), ['127.0.0.2']);
        assert.deepEqual(request.values('x-forwarded-host'), [request.host]);
        assert.deepEqual(request.values('x-forwarded-proto'), ['https']);
        assert.deepEqual(request.values('x-forwarded-port'), ['443']);
        assert.match(request.values('x-transaction-id').join(), /^[0-9a-f-]{36}$/);
        assert.doesNotMatch(request.rawHeaders.join('\n'), /192\.0\.2\.7/);
      }
    });
  });

  it('is not passed behind a believed proxy by what visitors write to the left of what the proxy saw', async () => {
    const domains = { 'net.example.com': `forward: ["127.0.0.1", "10.0.0.0/8"], clients: { networks: "${ALLOWED}" }` };
    const saw = '198.51.100.77';
    const lists = [
      [saw],
      [`${ALLOWED}, ${saw}`],
      [ALLOWED, saw],
      [`${ALLOWED}, ${saw}, 10.0.0.1`],
      [`${ALLOWED},${saw},`],
      [`${ALLOWED}, unknown`],
      [`${ALLOWED}, ${saw}:443`],
      [`${ALLOWED}, [2001:db8::1]`],
      [`${ALLOWED} , \t${saw}`],
      [`for=${ALLOWED}`],
      [`"${ALLOWED}"`],
      [`${ALLOWED};${saw}`],
      [`${ALLOWED}/32`],
      [''],
    ];
    await withAccess({ domains }, async (kit) => {
      for (const list of lists) {
        const lines = list.map((value) => `X-Forwarded-For: ${value}`);
        for (const more of [[], ['Connection: close, X-Forwarded-For'], [`Forwarded: for=${ALLOWED}`]]) {
          const text = await kit.raw('net.example.com', get('net.example.com', ...lines, ...more));
          assert.match(text, /^HTTP\/1\.1 404 /, lines.join());
        }
        const ways = lines.flatMap((line) => ['--header', line.replace(/: $/, ';')]);
        assert.equal((await kit.curl('net.example.com', '/', '--http2', ...ways)).status, 404, lines.join());
      }
      assert.deepEqual(kit.seen, []);
    });
  });

  it('is passed by the visitor whom a believed proxy names, and the target learns of the whole way', async () => {
    const domains = { 'net.example.com': `forward: ["127.0.0.1", "10.0.0.0/8"], clients: { networks: "${ALLOWED}" }` };
    await withAccess({ domains }, async ({ curl, seen, events }) => {
      const list = `203.0.113.9, ${ALLOWED}, 10.0.0.1`;
      for (const version of ['--http1.1', '--http2']) {
        const { status } = await curl('net.example.com', '/', version, '--header', `X-Forwarded-For: ${list}`);
        assert.equal(status, 200);
        const { record } = await events.wait('access');
        assert.equal(record.remote, `${ALLOWED}:0`);
      }
      assert.equal(seen.length, 2);
      for (const request of seen) assert.deepEqual(request.values('x-forwarded-for'), [`${list}, 127.0.0.1`]);
    });
  });

  it('counts wrong logins behind a believed proxy by visitor', async () => {
    const domains = { 'login.example.com': 'forward: "127.0.0.1", clients: { credentials: "user:password" }' };
    await withAccess({ domains }, async ({ curl }) => {
      const attempt = async (visitor: string, password: string) => {
        const flags = ['--header', `X-Forwarded-For: ${visitor}`, '--user', `user:${password}`];
        return (await curl('login.example.com', '/', ...flags)).status;
      };
      // On a busy machine ten take so long that one more is earned.
      let [status, failures] = [401, -1];
      for (; status === 401 && failures < 100; failures += 1) status = await attempt('192.0.2.1', `wrong ${failures}`);
      assert.equal(status, 429);
      assert.ok(failures >= 10, `${failures} failures`);
      assert.equal(await attempt('192.0.2.2', 'password'), 200);
    });
  });
});
