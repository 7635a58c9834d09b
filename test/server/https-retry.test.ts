import assert from 'node:assert/strict';
import test from 'node:test';
import { BackdialError } from '../../src/core/errors.ts';
import { FakeCarrier, type HttpsWayKit, withHttpsWay } from '../support/https-way.ts';
import { startRawTarget } from '../support/raw-target.ts';

const HOST = 'Host: www.example.com\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A second instance, and what reached it. */
async function withSecond(
  run: (kit: HttpsWayKit, second: FakeCarrier, asked: string[]) => Promise<void>,
): Promise<void> {
  const asked: string[] = [];
  const other = await startRawTarget({
    onPeer: (peer) => {
      peer.stream.on('data', (chunk: Buffer) => {
        asked.push(chunk.toString('latin1'));
        peer.stream.write(OK);
      });
    },
  });
  try {
    await withHttpsWay({}, async (kit) => {
      const second = new FakeCarrier(other.port, 'two');
      kit.carriers.push(second);
      await run(kit, second, asked);
    });
  } finally {
    await other.close();
  }
}

for (const method of ['GET', 'POST']) {
  test(`${method}: a stream that cannot be opened is opened on another instance`, async () => {
    await withSecond(async ({ visitor, carrier, record }) => {
      carrier.port = 0;
      const from = await visitor();
      await from.send(`${method} / HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`);
      await from.receivedText('\r\n\r\nok');
      const { instance, status, reason } = await record();
      assert.deepEqual({ instance, status, reason }, { instance: 'two', status: 200, reason: 'done' });
      from.close();
    });
  });
}

/** Tunnels in the order in which they are chosen: one that refuses streams for it is leaving, one to a dead target, one that works. */
type Kind = 'leaving' | 'dead' | 'works';

for (const [kinds, status, reason] of [
  [['leaving', 'leaving', 'leaving', 'works'], 200, 'done'],
  [['leaving', 'dead', 'leaving', 'works'], 200, 'done'],
  [['leaving', 'dead', 'dead', 'works'], 502, 'target-refused'],
  [['leaving', 'leaving'], 503, 'tunnel-draining'],
] as const satisfies readonly (readonly [readonly Kind[], number, string])[]) {
  test(`a tunnel that is leaving is no try: ${kinds.join(', ')}`, async () => {
    await withSecond(async ({ visitor, carriers, record }, { port }) => {
      carriers.length = 0;
      for (const [index, kind] of kinds.entries()) {
        const carrier = new FakeCarrier(kind === 'works' ? port : 0, `i${index}`);
        if (kind === 'leaving') carrier.open = () => Promise.reject(new BackdialError('tunnel-draining'));
        carriers.push(carrier);
      }
      const from = await visitor();
      await from.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`);
      await from.receivedText('\r\n\r\n');
      assert.deepEqual([(await record()).status, (await record()).reason], [status, reason]);
      from.close();
    });
  });
}

test('a bodyless idempotent request whose target is lost is sent once more, on another instance', async () => {
  await withSecond(async ({ visitor, target, record }, _second, asked) => {
    const from = await visitor();
    await from.send(`GET /x HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    to.reset();
    await from.receivedText('\r\n\r\nok');
    assert.equal((await record()).instance, 'two');
    assert.match(asked[0] ?? '', /^GET \/x HTTP\/1\.1\r\n/);
    assert.equal(asked.length, 1);
    from.close();
  });
});

for (const [what, request] of [
  ['POST', `POST / HTTP/1.1\r\n${HOST}\r\n`],
  ['PATCH', `PATCH / HTTP/1.1\r\n${HOST}\r\n`],
  ['a PUT with a body', `PUT / HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`],
  ['a GET with an empty chunked body', `GET / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
] as const) {
  test(`${what} is not sent twice`, async () => {
    await withSecond(async ({ visitor, target, record }, second) => {
      const from = await visitor();
      await from.send(request);
      const to = await target.next();
      await to.receivedText('\r\n\r\n');
      to.reset();
      assert.match(await from.receivedText('\r\n\r\n'), /^HTTP\/1\.1 502 .*details="target-lost"/s);
      assert.equal((await record()).reason, 'target-lost');
      assert.equal(second.opened.length, 0);
      from.close();
    });
  });
}

test('nothing is sent twice once an interim response came', async () => {
  await withSecond(async ({ visitor, target }, second) => {
    const from = await visitor();
    await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send('HTTP/1.1 103 Early Hints\r\n\r\n');
    await from.receivedText('103 Early Hints');
    to.reset();
    await from.receivedText('HTTP/1.1 502');
    assert.equal(second.opened.length, 0);
    from.close();
  });
});

test('a request is sent at most twice', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    for (const _attempt of [1, 2]) {
      const to = await target.next();
      await to.receivedText('\r\n\r\n');
      to.fin();
    }
    assert.match(await from.receivedText('\r\n\r\n'), /^HTTP\/1\.1 502 /);
    assert.equal((await record()).reason, 'target-lost');
    assert.equal(target.peers.length, 2);
    from.close();
  });
});

test('a kept-alive stream that the target closed while it was idle costs no request', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    for (const count of [1, 2, 3]) {
      await from.send(`POST /${count} HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`);
      const to = await target.next();
      await to.receivedText(`POST /${count}`);
      await to.send(OK);
      await record(count);
      to.fin();
      assert.equal((await to.ending).verdict, 'clean');
    }
    assert.equal(target.peers.length, 3);
    from.close();
  });
});

test('a request that may not be sent twice gets no stream that was free for long, and leaves none behind', async (t) => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`POST /1 HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`);
    const old = await target.next();
    await old.receivedText('\r\n\r\n');
    await old.send(OK);
    await record(1);
    const now = performance.now.bind(performance);
    t.mock.method(performance, 'now', () => now() + 1_001);
    await from.send(`POST /2 HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`);
    await (await target.next()).receivedText('POST /2');
    assert.equal((await old.ending).verdict, 'clean');
    from.close();
  });
});

test('a bodyless GET that meets a target just closing its idle stream is sent again on a new one', async () => {
  await withHttpsWay({}, async ({ visitor, target, record }) => {
    const from = await visitor();
    await from.send(`GET /1 HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send(OK);
    await record(1);
    await from.send(`GET /2 HTTP/1.1\r\n${HOST}\r\n`);
    await to.receivedText('GET /2');
    to.reset();
    const next = await target.next();
    await next.receivedText('GET /2');
    await next.send(OK);
    assert.equal((await record(2)).reason, 'done');
    from.close();
  });
});

test('a carrier that leaves ends its idle streams; a busy one finishes its exchange and ends', async () => {
  await withHttpsWay({}, async ({ visitor, target, carrier, carriers, record }) => {
    const idle = await visitor();
    await idle.send(`GET /idle HTTP/1.1\r\n${HOST}\r\n`);
    const idleStream = await target.next();
    await idleStream.receivedText('\r\n\r\n');
    const busy = await visitor();
    await busy.send(`GET /busy HTTP/1.1\r\n${HOST}\r\n`);
    const busyStream = await target.next();
    await busyStream.receivedText('\r\n\r\n');
    await idleStream.send(OK);
    await record(1);
    carrier.leave();
    carriers.push(new FakeCarrier(target.port, 'two'));
    assert.equal((await idleStream.ending).verdict, 'clean');
    await busyStream.send(OK);
    assert.equal((await record(2)).instance, 'one');
    assert.equal((await busyStream.ending).verdict, 'clean');
    await busy.send(`GET /next HTTP/1.1\r\n${HOST}\r\n`);
    await (await target.next()).receivedText('GET /next');
    idle.close();
    busy.close();
  });
});

test('where the agent asks for it, no stream is shared by two visitors, and it ends with its own', async () => {
  await withHttpsWay({}, async ({ visitor, target, carrier, record }) => {
    carrier.streamPerVisitor = true;
    const first = await visitor();
    await first.send(`GET /1 HTTP/1.1\r\n${HOST}\r\n`);
    const to = await target.next();
    await to.receivedText('\r\n\r\n');
    await to.send(OK);
    await record(1);
    const second = await visitor();
    await second.send(`GET /2 HTTP/1.1\r\n${HOST}\r\n`);
    const other = await target.next();
    await other.receivedText('GET /2');
    await other.send(OK);
    await record(2);
    await first.send(`GET /3 HTTP/1.1\r\n${HOST}\r\n`);
    await to.receivedText('GET /3');
    await to.send(OK);
    await record(3);
    first.fin();
    assert.equal((await to.ending).verdict, 'clean');
    assert.equal(target.peers.length, 2);
    second.close();
  });
});
