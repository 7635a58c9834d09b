import assert from 'node:assert/strict';
import test from 'node:test';
import { withHttpsWay } from '../support/https-way.ts';

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;

/** A head as a raw peer got it, its transaction id replaced. */
function normal(head: string): string[] {
  return head.replace(UUID, 'UUID').split('\r\n');
}

test('the target gets the request byte for byte, and the fields of this server behind it', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(
      'GET //A/%2525zz/../b;c=1/./d?q=%zz&&x#'.replace('#', '') +
        ' HTTP/1.1\r\nhOST: WWW.example.com:8443\r\nX-Two: b\r\nx-two:  a \t\r\nCookie: a="b c"; d\r\nUser-Agent: test/1\r\n' +
        'Referer: https://x/\r\nX-Latin: \xe4\r\nAccept:\r\nVia: 1.0 other\r\n\r\n',
    );
    const to = await target.next();
    assert.deepEqual(normal(await to.receivedText('\r\n\r\n')), [
      'GET //A/%2525zz/../b;c=1/./d?q=%zz&&x HTTP/1.1',
      'hOST: WWW.example.com:8443',
      'X-Two: b',
      'x-two: a',
      'Cookie: a="b c"; d',
      'User-Agent: test/1',
      'Referer: https://x/',
      'X-Latin: Ã¤',
      'Accept: ',
      'Via: 1.0 other',
      'X-Forwarded-For: 127.0.0.1',
      'X-Forwarded-Host: WWW.example.com:8443',
      'X-Forwarded-Port: 8443',
      'X-Forwarded-Proto: https',
      'X-Transaction-Id: UUID',
      'Via: 1.1 front.example.net',
    ]);
    await to.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    const { id, ua, referer, path, method, status, reason, domain, instance } = await record();
    assert.match(id, UUID);
    assert.deepEqual(
      { ua, referer, path, method, status, reason, domain, instance },
      {
        ua: 'test/1',
        referer: 'https://x/',
        path: '//A/%2525zz/../b;c=1/./d?q=%zz&&x',
        method: 'GET',
        status: 200,
        reason: 'done',
        domain: 'www.example.com',
        instance: 'one',
      },
    );
    from.close();
  });
});

test('forged fields are replaced, hop-by-hop fields end here', async () => {
  await withHttpsWay({}, async ({ visitor, target }) => {
    const from = await visitor();
    await from.send(
      'GET / HTTP/1.1\r\nHost: www.example.com\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-host: evil\r\n' +
        'X-FORWARDED-PROTO: http\r\nX-Forwarded-Port: 1\r\nX-Transaction-Id: mine\r\nX-Client-Cert-Subject: CN=root\r\n' +
        'Backdial-Domain: x\r\nX_Forwarded_For: 7.7.7.7\r\nConnection: keep-alive, X-Forwarded-For, X-Hop, Via\r\n' +
        'X-Hop: 1\r\nKeep-Alive: timeout=1\r\nTE: trailers, deflate\r\nProxy-Connection: x\r\n\r\n',
    );
    const to = await target.next();
    assert.deepEqual(normal(await to.receivedText('\r\n\r\n')), [
      'GET / HTTP/1.1',
      'Host: www.example.com',
      'X-Forwarded-For: 127.0.0.1',
      'X-Forwarded-Host: www.example.com',
      'X-Forwarded-Port: 443',
      'X-Forwarded-Proto: https',
      'X-Transaction-Id: UUID',
      'Via: 1.1 front.example.net',
      'TE: trailers',
      'Connection: TE',
    ]);
    from.close();
  });
});

test('the visitor gets the response byte for byte, without what is hop-by-hop and without Alt-Svc', async () => {
  await withHttpsWay({}, async ({ visitor, target }) => {
    const from = await visitor();
    await from.send('GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send(
      'HTTP/1.1 218 This is fine\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b="x y"\r\nVary: A\r\nvary: B\r\nLink: <x>\r\n' +
        'Link: <y>\r\nAlt-Svc: h3=":443"\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n' +
        'X-Transaction-Id: theirs\r\nContent-Type: a\r\nContent-Type: b\r\nX-Latin: \xe4\r\nContent-Length: 2\r\n\r\nok',
    );
    await from.receivedText('ok');
    assert.deepEqual(normal(from.text), [
      'HTTP/1.1 218 This is fine',
      'Set-Cookie: a=1; Path=/',
      'set-cookie: b="x y"',
      'Vary: A',
      'vary: B',
      'Link: <x>',
      'Link: <y>',
      'Content-Type: a',
      'Content-Type: b',
      'X-Latin: Ã¤',
      'Content-Length: 2',
      'X-Transaction-Id: UUID',
      'Connection: keep-alive',
      'Keep-Alive: timeout=65',
      '',
      'ok',
    ]);
    from.close();
  });
});

test('without `transaction` the response is left as it is', async () => {
  await withHttpsWay({ server: { transaction: false } }, async ({ visitor, target }) => {
    const from = await visitor();
    await from.send('GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 200 OK\r\nX-Transaction-Id: theirs\r\nContent-Length: 0\r\n\r\n');
    const head = await from.receivedText('\r\n\r\n');
    assert.match(head, /\r\nX-Transaction-Id: theirs\r\n/);
    from.close();
  });
});

test('what is pipelined behind a refused request reaches no target: nobody could answer it', async () => {
  await withHttpsWay({}, async ({ visitor, target, records }) => {
    const from = await visitor();
    const host = 'Host: www.example.com\r\n';
    await from.send(
      `GET /1 HTTP/1.1\r\n${host}\r\nGET /2 HTTP/1.1\r\n${host}${host}\r\n` +
        `POST /3 HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`,
    );
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /one.*HTTP\/1\.1 400 Bad Request\r\n/s);
    assert.equal(target.peers.length, 1);
    assert.ok(!to.text.includes('/3'));
    assert.deepEqual(
      records.map(({ path, status, reason }) => ({ path, status, reason })),
      [
        { path: '/1', status: 200, reason: 'done' },
        { path: '/2', status: 400, reason: 'request-invalid' },
      ],
    );
    from.close();
  });
});

test('what is pipelined before bytes that are no request, or a body that is none, is answered all the same', async () => {
  await withHttpsWay({}, async ({ visitor, target, record, records }) => {
    const ask = (line: string, more = ''): string => `${line} HTTP/1.1\r\nHost: www.example.com\r\n${more}\r\n`;
    const chunked = ask('POST /bad', 'Transfer-Encoding: chunked\r\n');
    const kinds: [string, number][] = [
      ['garbage\r\n\r\n', 3],
      [`${chunked}zz\r\n`, 4],
    ];
    for (const [bad, answers] of kinds) {
      const from = await visitor();
      const before = records.length;
      const to = target.next();
      await from.send(`${ask('GET /1')}${ask('GET /2')}${ask('GET /3')}${bad}`);
      const peer = await to;
      for (const path of ['/1', '/2', '/3']) {
        await peer.receivedText(`GET ${path} `);
        await peer.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      }
      assert.equal((await from.ending).verdict, 'clean');
      await record(before + answers);
      const statuses = Array.from(from.text.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => status);
      assert.deepEqual(statuses, ['200', '200', '200', '400'].slice(0, answers));
      assert.match(from.text, /^(?:(?!Connection: close).)*Connection: close\r\n/s);
      from.close();
      peer.close();
    }
  });
});

test('requests of one visitor share a stream of the target, one after the other', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send('GET /1 HTTP/1.1\r\nHost: www.example.com\r\n\r\nGET /2 HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    assert.ok(!to.text.includes('/2'), 'nothing is pipelined');
    await to.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
    await record(1);
    await to.receivedText('GET /2 HTTP/1.1');
    await to.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo');
    await record(2);
    assert.match(await from.receivedText('two'), /one.*$/s);
    assert.equal(target.peers.length, 1);
    from.close();
  });
});

test('answers in one piece and in several follow one another on a connection, which ends when the visitor asks for that', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    const large = 'x'.repeat(20_000);
    const head = 'HTTP/1.1 200 OK\r\nContent-Length:';
    const answers = [[`${head} 2\r\n\r\nA1`], [`${head} 4\r\n\r\n`, 'B2', 'B3'], [`${head} 20002\r\n\r\n${large}C4`]];
    let to: Awaited<ReturnType<typeof target.next>> | null = null;
    for (const [round, pieces] of [...answers, ...answers].entries()) {
      await from.send(`GET /${round} HTTP/1.1\r\nHost: www.example.com\r\n\r\n`);
      to ??= await target.next();
      await to.receivedText(`/${round} HTTP`);
      for (const piece of pieces) {
        await to.send(piece);
        await from.receivedText(piece.slice(-2));
      }
      await record(round + 1);
    }
    const close = 'GET /last HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n';
    await Promise.all([from.send(close), to?.receivedText('/last')]);
    await to?.send(`${head} 2\r\n\r\nD5`);
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /\r\nConnection: close\r\n\r\nD5$/);
    assert.equal(from.text.match(/\r\nConnection: keep-alive\r\n/g)?.length, 6);
    assert.equal(from.text.replace(/HTTP.*?\r\n\r\n/gs, ''), `A1B2B3${large}C4A1B2B3${large}C4D5`);
  });
});

test('HTTP/1.0: no chunks, no interim responses, the end of the connection delimits', async () => {
  await withHttpsWay({}, async ({ visitor, target }) => {
    const from = await visitor();
    await from.send('GET / HTTP/1.0\r\nHost: www.example.com\r\nExpect: 100-continue\r\n\r\n');
    const to = await target.next();
    const head = await to.receivedText('\r\n\r\n');
    assert.match(head, /^GET \/ HTTP\/1\.1\r\nHost: www\.example\.com\r\n/);
    assert.match(head, /\r\nVia: 1\.0 front/);
    assert.doesNotMatch(head, /Expect/);
    await to.send('HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n');
    await to.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n');
    const ending = await from.ending;
    assert.equal(ending.verdict, 'clean');
    assert.match(from.text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(from.text, /\r\nConnection: close\r\n\r\nabc$/);
    assert.doesNotMatch(from.text, /Trailer|chunked|103/);
  });
});

for (const [what, request, response, expected] of [
  [
    'HEAD',
    'HEAD / HTTP/1.1',
    'HTTP/1.1 200 OK\r\nContent-Length: 50\r\nX: y\r\n\r\n',
    /Content-Length: 50\r\nX: y\r\n/,
  ],
  ['204', 'GET / HTTP/1.1', 'HTTP/1.1 204 No Content\r\nX: y\r\n\r\n', /X: y\r\n/],
  ['204 with a length', 'GET / HTTP/1.1', 'HTTP/1.1 204 None\r\nContent-Length: 0\r\nX: y\r\n\r\n', /None\r\nX: y\r\n/],
  [
    'Trailer without chunks',
    'GET / HTTP/1.1',
    'HTTP/1.1 200 OK\r\nTrailer: Z\r\nContent-Length: 0\r\nX: y\r\n\r\n',
    /OK\r\nContent-Length: 0\r\nX: y\r\n/,
  ],
  ['304', 'GET / HTTP/1.1', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\nETag: "x"\r\n\r\n', /ETag: "x"\r\n/],
  ['a close-delimited HEAD', 'HEAD / HTTP/1.1', 'HTTP/1.1 200 OK\r\nX: y\r\n\r\n', /X: y\r\n/],
] as const) {
  test(`${what} has no body and leaves both connections in use`, async () => {
    await withHttpsWay({}, async ({ visitor, target, record }) => {
      const from = await visitor();
      await from.send(`${request}\r\nHost: www.example.com\r\n\r\n`);
      const to = await target.next();
      await to.receivedText('\r\n\r\n');
      await to.send(response);
      await record(1);
      assert.match(await from.receivedText('\r\n\r\n'), expected);
      assert.match(from.text, /\r\n\r\n$/);
      await from.send('GET /next HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
      await to.receivedText('GET /next');
      await to.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext');
      await from.receivedText('next');
      assert.equal(target.peers.length, 1);
      from.close();
    });
  });
}

test('OPTIONS * passes as it is', async () => {
  await withHttpsWay({}, async ({ visitor, target }) => {
    const from = await visitor();
    await from.send('OPTIONS * HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
    const to = await target.next();
    assert.match(await to.receivedText('\r\n\r\n'), /^OPTIONS \* HTTP\/1\.1\r\n/);
    from.close();
  });
});

test('a request that went through this server already is a loop', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send('GET / HTTP/1.1\r\nHost: www.example.com\r\nVia: 1.1 other, 2 FRONT.example.net (x)\r\n\r\n');
    const head = await from.receivedText('\r\n\r\n');
    assert.match(head, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
    assert.match(head, /\r\nProxy-Status: front\.example\.net; error=proxy_loop_detected; details="loop-detected"/);
    assert.equal((await record()).reason, 'loop-detected');
    assert.equal(target.peers.length, 0);
    from.close();
  });
});
