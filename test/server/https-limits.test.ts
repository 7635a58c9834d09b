import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { BackdialError } from '../../src/core/errors.ts';
import { StreamSocket } from '../../src/net/stream-socket.ts';
import { withHttpsWay } from '../support/https-way.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { eventually } from '../support/within.ts';

const HOST = 'Host: www.example.com\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('a Content-Length over the limit: 413 before a stream is opened', async () => {
  await withHttpsWay({ domain: { maxBodyBytes: 10 } }, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 11\r\n\r\nabc`);
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /^HTTP\/1\.1 413 .*details="body-too-large"/s);
    assert.equal(target.peers.length, 0);
    assert.equal((await record()).status, 413);
  });
});

test('chunks over the limit: 413, the target sees a cut; the limit itself passes', async () => {
  await withHttpsWay({ domain: { maxBodyBytes: 10 } }, async ({ visitor, target, record }) => {
    const good = await visitor();
    await good.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n`);
    const first = await target.next();
    await first.receivedText('\r\n0\r\n\r\n');
    await first.send(OK);
    assert.equal((await record(1)).status, 200);
    const bad = await visitor();
    await bad.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n`);
    await bad.send('1\r\nx\r\n');
    assert.equal((await bad.ending).verdict, 'clean');
    assert.match(bad.text, /^HTTP\/1\.1 413 /);
    assert.equal((await first.ending).verdict, 'reset');
    const { reason, status } = await record(2);
    assert.deepEqual({ reason, status }, { reason: 'body-too-large', status: 413 });
    good.close();
  });
});

test('a big upload that is refused can be answered while it is still coming', async () => {
  await withHttpsWay({ domain: { maxBodyBytes: 10 } }, async ({ visitor }) => {
    const from = await visitor();
    await from.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 4000000\r\n\r\n`);
    await from.send(Buffer.alloc(4_000_000, 'x'));
    assert.equal((await from.ending).verdict, 'clean');
    assert.match(from.text, /^HTTP\/1\.1 413 /);
  });
});

test(
  'a body that is too slow: 408',
  undisturbed(async () => {
    await withHttpsWay({ internals: { bodyRateWindowMs: 200 } }, async ({ visitor, target, record }) => {
      const slow = await visitor();
      await slow.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 1000\r\n\r\nabc`);
      const to = await target.next();
      assert.equal((await slow.ending).verdict, 'clean');
      assert.match(slow.text, /^HTTP\/1\.1 408 .*details="body-too-slow"/s);
      assert.equal((await to.ending).verdict, 'reset');
      assert.equal((await record(1)).reason, 'body-too-slow');
    });
  }),
);

test(
  'a head that is not complete in time: 408; an idle connection is closed',
  undisturbed(async () => {
    await withHttpsWay(
      { server: { readTimeoutMs: 300, idleTimeoutMs: 200 } },
      async ({ visitor, target, record, events }) => {
        const slow = await visitor();
        await slow.send(`GET / HTTP/1.1\r\n${HOST}X: `);
        assert.equal((await slow.ending).verdict, 'clean');
        assert.match(slow.text, /^HTTP\/1\.1 408 .*details="request-timeout"/s);
        assert.ok(events.some((event) => event.type === 'connection-refused' && event.reason === 'request-timeout'));
        const idle = await visitor();
        await idle.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
        const to = await target.next();
        await to.receivedText('\r\n\r\n');
        await to.send(OK);
        await record(1);
        await idle.ending;
        assert.match(idle.text, /\r\n\r\nok$/);
      },
    );
  }),
);

test(
  'a silent target: 504 within its budget, and none for one that has begun',
  undisturbed(async () => {
    await withHttpsWay({}, async ({ visitor, target, carrier, record }) => {
      carrier.timeouts = { readMs: 150, writeMs: 0 };
      const from = await visitor();
      await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      const to = await target.next();
      assert.match(
        await from.receivedText('\r\n\r\n'),
        /^HTTP\/1\.1 504 .*error=http_response_timeout; details="target-silent"/s,
      );
      assert.equal((await to.ending).verdict, 'reset');
      assert.equal((await record(1)).reason, 'target-silent');
      // Server-sent events: the head, then nothing for longer than the budget.
      await from.send(`GET /events HTTP/1.1\r\n${HOST}\r\n`);
      const events = await target.next();
      await events.receivedText('\r\n\r\n');
      await events.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n');
      // One that is asked now is over its budget first.
      const silent = await visitor();
      await silent.send(`GET /silent HTTP/1.1\r\n${HOST}\r\n`);
      await target.next();
      await silent.receivedText(' 504 ');
      silent.close();
      await events.send('data: x\n\n');
      await from.receivedText('data: x\n\n');
      from.close();
    });
  }),
);

test(
  'the time for the answer begins when the request was sent in full',
  undisturbed(async () => {
    await withHttpsWay({}, async ({ visitor, target, carrier, record }) => {
      carrier.timeouts = { readMs: 200, writeMs: 0 };
      const from = await visitor();
      await from.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\na`);
      const to = await target.next();
      // One that is complete now is over its budget first.
      const complete = await visitor();
      await complete.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      await target.next();
      assert.equal((await record()).reason, 'target-silent');
      await from.send('bc');
      await to.receivedText('abc');
      await to.send(OK);
      assert.equal((await record(2)).status, 200);
      await from.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`);
      assert.equal((await record(3)).reason, 'target-silent');
      complete.close();
      from.close();
    });
  }),
);

test(
  'a target that takes nothing of the body: 504',
  undisturbed(async () => {
    await withHttpsWay({}, async ({ visitor, target, carrier, record }) => {
      carrier.timeouts = { readMs: 0, writeMs: 1_000 };
      const from = await visitor();
      await from.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 100000000\r\n\r\n`);
      const to = await target.next();
      to.stream.pause();
      const piece = Buffer.alloc(1_000_000, 'x');
      for (let i = 0; i < 40; i += 1) from.stream.write(piece);
      assert.equal((await record()).reason, 'target-stalled');
      await from.receivedText('HTTP/1.1 504 ');
      from.close();
    });
  }),
);

test(
  'a visitor that takes nothing of the answer is cut after the write time-out',
  undisturbed(async () => {
    await withHttpsWay({ server: { writeTimeoutMs: 1_000 } }, async ({ visitor, target, record }) => {
      const from = await visitor();
      await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      const to = await target.next();
      await to.receivedText('\r\n\r\n');
      from.stream.pause();
      await to.send('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n');
      to.stream.write(Buffer.alloc(50_000_000, 'x'));
      assert.equal((await record()).reason, 'visitor-stalled');
      assert.equal((await to.ending).verdict, 'reset');
      from.close();
    });
  }),
);

test(
  'the time that a small answer has to be taken is none of the next request: that may take longer',
  undisturbed(async () => {
    await withHttpsWay({ server: { writeTimeoutMs: 100 } }, async ({ visitor, target, records }) => {
      const from = await visitor();
      await from.send(`GET /1 HTTP/1.1\r\n${HOST}\r\n`);
      const to = await target.next();
      await to.receivedText('\r\n\r\n');
      await to.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst');
      await from.receivedText('first');
      await from.send(`GET /2 HTTP/1.1\r\n${HOST}\r\n`);
      await to.receivedText('GET /2');
      const stalled = await visitor();
      await stalled.send(`GET /stalled HTTP/1.1\r\n${HOST}\r\n`);
      const other = await target.next();
      await other.receivedText('\r\n\r\n');
      stalled.stream.pause();
      other.stream.write('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n');
      other.stream.write(Buffer.alloc(20_000_000));
      await eventually('one that began later had its time', () =>
        records.some((each) => each.reason === 'visitor-stalled'),
      );
      await to.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond');
      await from.receivedText('second');
    });
  }),
);

test(
  'a visitor that took a large answer is watched no more, idle for ever or switched',
  undisturbed(async () => {
    await withHttpsWay({ server: { idleTimeoutMs: 0, writeTimeoutMs: 150 } }, async ({ visitor, target, events }) => {
      const cutOf = () => events.find((event) => event.type === 'access' && event.record.reason === 'visitor-stalled');
      const kept = [await visitor(), await visitor()] as const;
      const large = `HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n${'x'.repeat(9_999)}!`;
      for (const from of kept) {
        await from.send(`GET / HTTP/1.1\r\n${HOST}Connection: keep-alive\r\n\r\n`);
        const to = await target.next();
        await to.send(large.replace('\r\n', '\r\nConnection: close\r\n'));
        await from.receivedText('!');
        from.drop(from.length);
      }
      const [idle, switched] = kept;
      await switched.send(`GET / HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: chat\r\n\r\n`);
      const far = await target.next();
      await far.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n');
      await switched.receivedText('\r\n\r\n');
      // One that takes nothing from now on is over its time first.
      const stalled = await visitor();
      await stalled.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      const to = await target.next();
      stalled.stream.pause();
      await to.send('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n');
      to.stream.write(Buffer.alloc(50_000_000, 'x'));
      await eventually('it is cut', () => cutOf() !== undefined);
      await far.send('still here');
      await switched.receivedText('still here');
      await idle.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      await (await target.next()).send(OK);
      await idle.receivedText('\r\n\r\nok');
      for (const each of [...kept, stalled]) each.close();
    });
  }),
);

test(
  'a visitor that takes none of many small answers is cut, too',
  undisturbed(async () => {
    await withHttpsWay({ server: { writeTimeoutMs: 400 } }, async ({ visitor, target, record }) => {
      const from = await visitor();
      await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      from.stream.pause();
      const to = await target.next();
      const answer = `HTTP/1.1 200 OK\r\nContent-Length: 8000\r\n\r\n${'x'.repeat(8_000)}`;
      await to.receivedText('\r\n\r\n');
      to.stream.on('data', () => to.stream.write(answer));
      await to.send(answer);
      // One after the other, until the buffers of the kernel are full.
      let asked = 1;
      while ((await record(asked)).reason === 'done') {
        await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
        asked += 1;
      }
      assert.equal((await record(asked)).reason, 'visitor-stalled');
      from.stream.resume();
      assert.equal((await from.ending).verdict, 'reset');
    });
  }),
);

test(
  "one of the server's own small answers that is not taken is watched, too, and an upgrade does not come before it",
  undisturbed(async () => {
    await withHttpsWay({ server: { writeTimeoutMs: 100 } }, async ({ way, target }) => {
      // A visitor that takes no byte at all, which those of the kernel never do.
      const visitor = new Duplex({ read() {}, write: () => {} });
      const socket = new StreamSocket(visitor) as unknown as TLSSocket;
      way.accept(socket, {
        raw: socket,
        name: 'www.example.com',
        remote: '192.0.2.1:1',
        acceptedAt: performance.now(),
        door: '',
        clientAuthorities: null,
        clientSubject: null,
      });
      visitor.push('GET / HTTP/1.1\r\nHost: unknown.example.com\r\n\r\n');
      visitor.push(`GET /chat HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: chat\r\n\r\n`);
      await eventually('it is cut', () => way.connectionCount === 0);
      assert.equal(target.peers.length, 0);
    });
  }),
);

test(
  'over the concurrency of a domain a request waits for a place, and then gets 429',
  undisturbed(async () => {
    const options = { domain: { concurrency: 1 }, internals: { maxWaitMs: 300 } };
    await withHttpsWay(options, async ({ visitor, target, record }) => {
      const first = await visitor();
      await first.send(`GET /1 HTTP/1.1\r\n${HOST}\r\n`);
      const to = await target.next();
      await to.receivedText('\r\n\r\n');
      const second = await visitor();
      await second.send(`GET /2 HTTP/1.1\r\n${HOST}\r\n`);
      const third = await visitor();
      await third.send(`GET /3 HTTP/1.1\r\n${HOST}\r\n`);
      await to.send(OK);
      assert.equal((await record(1)).path, '/1');
      await to.receivedText('GET /2');
      assert.match(await third.receivedText('\r\n\r\n'), /^HTTP\/1\.1 429 .*details="stream-limit"/s);
      const { path, reason } = await record(2);
      assert.deepEqual({ path, reason }, { path: '/3', reason: 'stream-limit' });
      await to.send(OK);
      await record(3);
      for (const peer of [first, second, third]) peer.close();
    });
  }),
);

test('a visitor that leaves while it waits gives its place in the queue back', async () => {
  await withHttpsWay({ domain: { concurrency: 1 } }, async ({ visitor, target, record }) => {
    const first = await visitor();
    await first.send(`GET /1 HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    const second = await visitor();
    await second.send(`GET /2 HTTP/1.1\r\n${HOST}\r\n`);
    await second.send('');
    second.reset();
    const { path, reason } = await record(1);
    assert.deepEqual({ path, reason }, { path: '/2', reason: 'visitor-reset' });
    await to.send(OK);
    assert.equal((await record(2)).path, '/1');
    await first.send(`GET /3 HTTP/1.1\r\n${HOST}\r\n`);
    await to.receivedText('GET /3');
    first.close();
  });
});

test(
  'where all tunnels are full, a free stream of one is used; else room is waited for',
  undisturbed(async () => {
    await withHttpsWay({ internals: { maxWaitMs: 200 } }, async ({ visitor, target, carrier, carriers, record }) => {
      const from = await visitor();
      await from.send(`GET /1 HTTP/1.1\r\n${HOST}\r\n`);
      const to = await target.next();
      await to.receivedText('\r\n\r\n');
      await to.send(OK);
      await record(1);
      // A full carrier is what a source does not pick.
      const full = Object.create(carrier, {
        usable: {
          get() {
            throw new BackdialError('stream-limit');
          },
        },
      });
      carriers[0] = full;
      await from.send(`GET /2 HTTP/1.1\r\n${HOST}\r\n`);
      await to.receivedText('GET /2');
      const second = await visitor();
      await second.send(`GET /3 HTTP/1.1\r\n${HOST}\r\n`);
      assert.match(await second.receivedText('\r\n\r\n'), /^HTTP\/1\.1 429 /);
      assert.equal((await record(2)).reason, 'stream-limit');
      from.close();
      second.close();
    });
  }),
);

test('a visitor may pipeline many requests at once: all are answered, in their order, over one stream', async () => {
  await withHttpsWay({}, async ({ visitor, target, carrier, record }) => {
    const paths = Array.from({ length: 300 }, (_, i) => `/${i}`);
    const from = await visitor();
    await from.send(paths.map((path) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`).join(''));
    const to = await target.next();
    for (const path of paths) {
      await to.receivedText(`GET ${path} `);
      await to.send(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
    }
    await record(paths.length);
    await from.receivedText('\r\n\r\n/299');
    assert.deepEqual(from.text.match(/(?<=\r\n\r\n)\/\d+/g), paths);
    assert.equal(carrier.opened.length, 1);
    from.close();
  });
});

test('a head that comes in parts behind many requests is not late because nothing was read', async () => {
  await withHttpsWay({ server: { readTimeoutMs: 300 } }, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`GET /0 HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await from.send(`${`GET /n HTTP/1.1\r\n${HOST}\r\n`.repeat(20)}GET /late HTTP`);
    // Longer than node:http takes to find a head late.
    await sleep(2_500);
    for (let i = 0; i <= 21; i += 1) {
      await to.receivedText(i === 0 ? 'GET /0 ' : i === 21 ? 'GET /late ' : 'GET /n ');
      await to.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      if (i === 10) await from.send(`/1.1\r\n${HOST}\r\n`);
      assert.equal((await record(i + 1)).reason, 'done');
    }
    assert.doesNotMatch(from.text, /Connection: close/i);
    from.close();
  });
});
