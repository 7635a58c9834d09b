import assert from 'node:assert/strict';
import test from 'node:test';
import { type HttpsWayKit, withHttpsWay } from '../support/https-way.ts';
import type { Peer } from '../support/raw-target.ts';
import { eventually } from '../support/within.ts';

const HOST = 'Host: www.example.com\r\n';

/** Sends what must be refused; gives the answer once the connection is over. */
async function refused({ visitor, target }: HttpsWayKit, bytes: string): Promise<string> {
  const from = await visitor();
  await from.send(bytes);
  const ending = await from.ending;
  assert.equal(ending.verdict, 'clean', 'the answer arrives, and no reset in front of it');
  assert.equal(target.peers.length, 0, 'no stream is opened');
  from.close();
  return from.text;
}

for (const [what, bytes] of [
  ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
  ['two Hosts', `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`],
  ['a Host that is a list', 'GET / HTTP/1.1\r\nHost: www.example.com, x.example.com\r\n\r\n'],
  ['a Host with a user', 'GET / HTTP/1.1\r\nHost: a@www.example.com\r\n\r\n'],
  ['an absolute-form of another host', `GET https://x.example.com/ HTTP/1.1\r\n${HOST}\r\n`],
  ['an absolute-form with http', `GET http://www.example.com/ HTTP/1.1\r\n${HOST}\r\n`],
  ['HTTP/2.0 on an HTTP/1 line', `GET / HTTP/2.0\r\n${HOST}\r\n`],
  ['HTTP/0.9', 'GET /\r\n\r\n'],
  ['a target with #', `GET /a#b HTTP/1.1\r\n${HOST}\r\n`],
  ['a target outside ASCII', `GET /\u00e4 HTTP/1.1\r\n${HOST}\r\n`],
  ['a target without /', `GET x HTTP/1.1\r\n${HOST}\r\n`],
  ['a method in small letters', `get / HTTP/1.1\r\n${HOST}\r\n`],
  ['length and chunks', `POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['chunks and length', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`],
  ['two lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`],
  ['a length with a sign', `POST / HTTP/1.1\r\n${HOST}Content-Length: +3\r\n\r\nabc`],
  ['an unknown coding', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ['two codings', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ['a hidden coding', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
  ['chunks in HTTP/1.0', `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['a folded line', `GET / HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n`],
  ['a bare LF', `GET / HTTP/1.1\n${HOST}\r\n`],
  ['NUL in a value', `GET / HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`],
  ['a name that is no token', `GET / HTTP/1.1\r\n${HOST}X(: a\r\n\r\n`],
  ['garbage', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n'],
] as const) {
  test(`${what}: 400, and the connection is closed`, async () => {
    await withHttpsWay({}, async (kit) => {
      const answer = await refused(kit, bytes);
      assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
      assert.match(answer, /\r\nConnection: close\r\n/);
      assert.match(
        answer,
        /\r\nProxy-Status: front\.example\.net; error=http_request_error; details="request-invalid"\r\n/,
      );
      const { status, reason } = await kit.record();
      assert.deepEqual(
        { status, reason, count: kit.records.length },
        { status: 400, reason: 'request-invalid', count: 1 },
      );
    });
  });
}

test('what comes behind an answer that ended the connection is no request any more, whenever it comes', async () => {
  await withHttpsWay({}, async (kit) => {
    const { visitor, target } = kit;
    const bad = await visitor();
    await bad.send(`GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`);
    await bad.receivedText('HTTP/1.1 400 ');
    await bad.send(`POST /effect HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`);
    const late = await visitor();
    await late.send(`POST / HTTP/1.1\r\nHost: unknown.example.com\r\nContent-Length: 3\r\n\r\nabc`);
    await late.receivedText('HTTP/1.1 404 ');
    await late.send(`GET /upgrade HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: chat\r\n\r\n`);
    const good = await visitor();
    await good.send(`GET /good HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('GET /good ');
    assert.equal(target.peers.length, 1);
    for (const peer of [bad, late, good]) peer.close();
  });
});

test('a head over the limit, and more than 100 header lines: 431', async () => {
  await withHttpsWay({ server: { maxHeaderBytes: 8_192 } }, async (kit) => {
    assert.match(await refused(kit, `GET / HTTP/1.1\r\n${HOST}X: ${'y'.repeat(9_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
    const lines = Array.from({ length: 100 }, (_, i) => `X-${i}: y\r\n`).join('');
    assert.match(await refused(kit, `GET / HTTP/1.1\r\n${HOST}${lines}\r\n`), /^HTTP\/1\.1 431 /);
    assert.deepEqual(
      kit.records.map(({ reason }) => reason),
      ['headers-too-large', 'headers-too-large'],
    );
  });
});

test('TRACE and CONNECT: 405', async () => {
  await withHttpsWay({}, async ({ visitor, record, target }) => {
    const from = await visitor();
    await from.send(`TRACE / HTTP/1.1\r\n${HOST}\r\n`);
    const head = await from.receivedText('\r\n\r\n');
    assert.match(head, /^HTTP\/1\.1 405 Method Not Allowed\r\n/);
    assert.match(head, /\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS/);
    await record(1);
    await from.send(`CONNECT www.example.com:443 HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal((await record(2)).reason, 'method-refused');
    assert.equal((await from.ending).verdict, 'clean');
    assert.equal(from.text.split('HTTP/1.1 405').length, 3);
    assert.equal(target.peers.length, 0);
  });
});

test('CONNECT behind a request that is being answered is told as what it is, not as a visitor who left', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await from.send(`CONNECT www.example.com:443 HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal((await record()).reason, 'request-invalid');
    assert.equal((await from.ending).verdict, 'reset');
    assert.equal((await to.ending).verdict, 'reset');
  });
});

test('a body whose chunks are malformed: 400 where nothing was answered, and the target sees a cut', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`);
    const to = await target.next();
    await to.receivedText('abc\r\n');
    await from.send('zz\r\n');
    assert.equal((await to.ending).verdict, 'reset');
    assert.doesNotMatch(to.text, /\r\n0\r\n/);
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /^HTTP\/1\.1 400 /);
    const { status, reason, in: bytesIn } = await record();
    assert.deepEqual({ status, reason, bytesIn }, { status: 400, reason: 'request-invalid', bytesIn: 3 });
  });
});

test('bytes behind a request with Connection: close are ignored, its answer is delivered', async () => {
  await withHttpsWay({}, async ({ visitor, target, records, way }) => {
    const from = await visitor();
    await from.send(`GET /1 HTTP/1.1\r\n${HOST}Connection: close\r\n\r\nGET /2 HTTP/1.1\r\n${HOST}\r\n\0garbage`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await from.send('more garbage');
    await to.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /\r\n\r\none$/);
    // This side has not ended: the bytes arrive, and are nobody's request.
    await from.send('GET /3 HTTP/1.1\r\n\r\n');
    from.fin();
    await eventually('the connection is closed', () => way.connectionCount === 0);
    assert.equal(target.peers.length, 1);
    assert.equal(records.length, 1);
  });
});

test('a malformed request behind a good one takes nothing of its answer', async () => {
  await withHttpsWay({}, async ({ visitor, target }) => {
    const from = await visitor();
    await from.send(`GET /1 HTTP/1.1\r\n${HOST}\r\nbad request\r\n\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /\r\nConnection: close\r\n\r\none$/);
  });
});

test('421 for a host whose certificate is another one', async () => {
  const { issueCertificate } = await import('../support/certificates.ts');
  const { cert, key } = issueCertificate(['DNS:other.test']);
  const { cert: first, key: firstKey } = issueCertificate(['DNS:*.example.com']);
  const certificates = [
    { hosts: ['*.example.com'], cert: first, key: firstKey },
    { hosts: ['other.test'], cert, key },
  ];
  await withHttpsWay({ server: { certificates } }, async ({ visitor, record, target }) => {
    const from = await visitor();
    await from.send('GET / HTTP/1.1\r\nHost: other.test\r\n\r\n');
    assert.match(await from.receivedText('\r\n\r\n'), /^HTTP\/1\.1 421 Misdirected Request\r\n/);
    assert.equal((await record()).reason, 'misdirected');
    // The same entry of certificates: not misdirected, just unknown.
    await from.send('GET / HTTP/1.1\r\nHost: unknown.example.com\r\n\r\n');
    assert.equal((await record(2)).reason, 'domain-unknown');
    assert.equal(target.peers.length, 0);
    from.close();
  });
});

/** What of an answer everyone must get alike. */
function alike(peer: Peer): string {
  return peer.text
    .replace(/\r\nDate: [^\r]*/, '')
    .replace(/\r\nX-Transaction-Id: [0-9a-f-]{36}/, '\r\nX-Transaction-Id: *');
}

test('unknown, unserved, and refused agents get the same bytes; the record tells the truth', async () => {
  await withHttpsWay({}, async ({ visitor, record, port }) => {
    const ask = async (request: string, upgrade: boolean): Promise<string> => {
      const from = await visitor();
      await from.send(request);
      if (upgrade) await from.ending;
      else await from.receivedText('404 Not Found\n');
      from.close();
      return alike(from);
    };
    const unknown = await ask('GET / HTTP/1.1\r\nHost: unknown.example.com\r\n\r\n', false);
    const unserved = await ask('GET / HTTP/1.1\r\nHost: unserved.example.com\r\n\r\n', false);
    const traced = await ask('TRACE / HTTP/1.1\r\nHost: unserved.example.com\r\n\r\n', false);
    assert.equal(
      unknown,
      'HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\nCache-Control: no-store\r\n' +
        'X-Transaction-Id: *\r\nConnection: keep-alive\r\nKeep-Alive: timeout=65\r\n\r\n404 Not Found\n',
    );
    assert.equal(unserved, unknown);
    assert.equal(traced, unknown);
    assert.deepEqual(
      [await record(1), await record(2), await record(3)].map(({ reason, status }) => [reason, status]),
      [
        ['domain-unknown', 404],
        ['domain-unserved', 404],
        ['domain-unserved', 404],
      ],
    );
    const upgrade = 'Connection: Upgrade\r\nUpgrade: ptth\r\n\r\n';
    const path = '/.well-known/backdial-agent';
    const agent = await ask(`GET ${path} HTTP/1.1\r\n${HOST}${upgrade}`, true);
    const elsewhere = await ask(`GET /x HTTP/1.1\r\nHost: unknown.example.com\r\n${upgrade}`, true);
    assert.equal(agent, elsewhere);
    assert.ok(port > 0);
  });
});
