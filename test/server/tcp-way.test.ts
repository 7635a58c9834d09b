import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import type { SocketAddress } from '../../src/core/address.ts';
import { BackdialError } from '../../src/core/errors.ts';
import { FailureLimiter } from '../../src/server/failure-limiter.ts';
import type { DomainOptions, ServerOptions } from '../../src/server/options.ts';
import { resolveServerOptions } from '../../src/server/resolve-options.ts';
import { createTcpWay } from '../../src/server/tcp-way.ts';
import { AccessControl } from '../../src/server/visitor-access.ts';
import { testCertificate } from '../support/certificates.ts';
import { type Dialled, FakeDialer } from '../support/dialer.ts';
import { listenOn } from '../support/listen-on.ts';
import { Observed } from '../support/observed.ts';
import { connectPeer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { CLEAN } from '../support/verdict.ts';
import { eventually, within } from '../support/within.ts';

const FREE = { host: '127.0.0.1', port: 0 };

/** Joins every dial to a target by a plain TCP connection. */
async function dialTarget(port: number): Promise<Duplex> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

function makeWay(
  t: TestContext,
  answer: (dialled: Dialled) => Promise<Duplex>,
  domains: readonly Partial<DomainOptions>[],
  given: Partial<ServerOptions> = {},
  now = '2024-01-01T00:00:00Z',
) {
  const told = new Observed();
  const { cert, key } = testCertificate();
  const options = resolveServerOptions({
    listen: [FREE],
    certificates: [{ hosts: ['*'], cert, key }],
    domains: domains.map((domain) => ({ name: 'db.internal', secrets: [], ...domain })),
    observer: told.observer,
    ...given,
  });
  const dialer = new FakeDialer(answer);
  const access = new AccessControl({
    secrets: { check: () => Promise.resolve(false) },
    limiter: new FailureLimiter(),
    now: () => Date.parse(now),
  });
  const way = createTcpWay({ options, dialer, access });
  t.after(() => way.close());
  return { way, told, dialer };
}

async function startWay(
  t: TestContext,
  answer: (dialled: Dialled) => Promise<Duplex>,
  given: Partial<ServerOptions> = {},
) {
  const made = makeWay(t, answer, [{ listen: [FREE] }], given);
  const [listening] = await made.way.listen();
  assert.ok(listening !== undefined && 'port' in listening.address);
  return { ...made, port: listening.address.port };
}

async function startJoined(t: TestContext) {
  const target: RawTarget = await startRawTarget();
  t.after(() => target.close());
  return { ...(await startWay(t, () => dialTarget(target.port))), target };
}

describe('a visitor of a TCP port', () => {
  test('is joined to its domain; what goes each way is counted and recorded once', async (t) => {
    const { port, target, dialer, told } = await startJoined(t);
    const visitor = await connectPeer(port);
    const client = `127.0.0.1:${visitor.raw.localPort}`;
    const peer = await target.next();
    await visitor.send('question');
    await peer.received(8);
    await peer.send('a longer answer');
    await visitor.received(15);
    visitor.fin();
    assert.deepEqual(await within('the end', peer.ending), CLEAN);
    peer.fin();
    assert.deepEqual(await within('the end', visitor.ending), CLEAN);
    assert.deepEqual([peer.text, visitor.text], ['question', 'a longer answer']);
    const [call] = dialer.calls;
    assert.equal(call?.name, `db.internal:${port}`);
    assert.equal(call?.options.way, 'tcp');
    assert.equal(call?.options.client, client);
    const { record } = await told.first('access');
    assert.equal(told.of('access').length, 1);
    assert.equal(record.id, call?.options.transaction);
    assert.match(record.id, /^[0-9a-f-]{36}$/);
    const { domain, way, reason, status, in: bytesIn, out, remote } = record;
    assert.deepEqual(
      { domain, way, reason, status, bytesIn, out, remote },
      {
        domain: 'db.internal',
        way: 'tcp',
        reason: 'done',
        status: null,
        bytesIn: 8,
        out: 15,
        remote: client,
      },
    );
  });

  test('hears the target first', async (t) => {
    const { port, target } = await startJoined(t);
    const visitor = await connectPeer(port);
    await (await target.next()).send('220 ready\r\n');
    assert.equal(await visitor.receivedText('\r\n'), '220 ready');
    visitor.close();
  });

  test('may send, and even end, before its stream is open: nothing is lost, in order', async (t) => {
    const target = await startRawTarget();
    t.after(() => target.close());
    const gate = Promise.withResolvers<void>();
    const { port, dialer } = await startWay(t, async () => {
      await gate.promise;
      return dialTarget(target.port);
    });
    const visitor = await connectPeer(port);
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
    visitor.stream.end(sent);
    await eventually('the dial', () => dialer.calls.length === 1);
    gate.resolve();
    const peer = await target.next();
    assert.deepEqual(await within('the end', peer.ending), CLEAN);
    assert.ok(peer.bytes.equals(sent));
    await peer.send('answer after the half-close');
    peer.fin();
    assert.deepEqual(await within('the end', visitor.ending), CLEAN);
    assert.equal(visitor.text, 'answer after the half-close');
  });

  test('is dialled for when it ends before its stream is open, and no more once it is gone', async (t) => {
    const { port, dialer } = await startWay(t, () => new Promise(() => {}));
    const visitor = await connectPeer(port);
    visitor.fin();
    await eventually('the FIN is sent', () => visitor.stream.writableFinished);
    // Whoever comes later is seen later.
    const later = await connectPeer(port);
    await eventually('the dials', () => dialer.calls.length === 2);
    const aborted = () => dialer.calls.map(({ options }) => options.signal?.aborted);
    assert.deepEqual(aborted(), [false, false]);
    later.reset();
    await eventually('the dial of who is gone is given up', () => aborted()[1] === true);
    assert.deepEqual(aborted(), [false, true]);
    visitor.close();
  });

  test('is reset at once when the dial fails; the reason is recorded', async (t) => {
    const { port, told, way } = await startWay(t, async ({ name }) => {
      throw new BackdialError('domain-unserved', name);
    });
    // The reset may come before `connect`, so no helper that waits for that.
    const visitor = net.connect(port, '127.0.0.1');
    const [error] = await within('the reset', once(visitor, 'error'));
    assert.equal(error.code, 'ECONNRESET');
    const { record } = await told.first('access');
    assert.deepEqual([record.reason, record.status, record.in, record.out], ['domain-unserved', 404, 0, 0]);
    await eventually('the close', () => way.connectionCount === 0);
  });

  test('that resets during the dial aborts it', async (t) => {
    const { port, told, dialer } = await startWay(
      t,
      ({ options }) =>
        new Promise((_, reject) => {
          options.signal?.addEventListener('abort', () => reject(new BackdialError('dial-aborted')));
        }),
    );
    const visitor = await connectPeer(port);
    await eventually('the dial', () => dialer.calls.length === 1);
    visitor.reset();
    const { record } = await told.first('access');
    assert.equal(record.reason, 'visitor-reset');
    assert.equal(dialer.calls[0]?.options.signal?.aborted, true);
  });

  test('that resets while its stream opens does not leave the stream behind', async (t) => {
    const target = await startRawTarget();
    t.after(() => target.close());
    const gate = Promise.withResolvers<void>();
    const { port, dialer, way } = await startWay(t, async () => {
      await gate.promise;
      return dialTarget(target.port);
    });
    const visitor = await connectPeer(port);
    await eventually('the dial', () => dialer.calls.length === 1);
    visitor.reset();
    await eventually('the close', () => way.connectionCount === 0);
    gate.resolve();
    const peer = await target.next();
    assert.equal((await within('the end', peer.ending)).verdict, 'reset');
  });

  for (const [who, reason] of [
    ['visitor', 'visitor-reset'],
    ['target', 'target-lost'],
  ] as const) {
    test(`is cut when the ${who} resets, and the record says so`, async (t) => {
      const { port, target, told } = await startJoined(t);
      const visitor = await connectPeer(port);
      const peer = await target.next();
      await visitor.send('x');
      await peer.received(1);
      (who === 'visitor' ? visitor : peer).reset();
      const ending = await within('the end', (who === 'visitor' ? peer : visitor).ending);
      assert.equal(ending.verdict, 'reset');
      const { record } = await told.first('access');
      assert.deepEqual([record.reason, record.in, record.out], [reason, 1, 0]);
    });
  }

  test('over the limit is turned away', async (t) => {
    const { port, told, way, dialer } = await startWay(t, () => new Promise(() => {}), { maxConnections: 1 });
    const first = await connectPeer(port);
    await eventually('the first', () => way.connectionCount === 1);
    const second = await connectPeer(port);
    await within('the end', second.ending);
    assert.equal(dialer.calls.length, 1);
    assert.equal(told.of('warning')[0]?.code, 'connection-limit');
    first.close();
    second.close();
  });
});

test('visitors who come at once are dialled at once, though each turn of the event loop accepts but one', async (t) => {
  const together: number[] = [];
  const { port, dialer } = await startWay(t, () => {
    if (dialer.calls.length === 1) process.nextTick(() => together.push(dialer.calls.length));
    throw new BackdialError('domain-unserved');
  });
  const visitors = Array.from({ length: 5 }, () => net.connect(port, '127.0.0.1'));
  await within('the resets', Promise.all(visitors.map((visitor) => once(visitor, 'error'))));
  assert.deepEqual(together, [5]);
});

describe('a visitor who may not reach the domain', () => {
  const now = '2024-02-29T12:00:00Z';
  const cases = {
    'network-refused': { networks: [{ address: '192.0.2.0', prefix: 24 }] },
    'time-refused': { ranges: ['2024-02-28', '2024-03-01-'] },
  } as const;
  for (const [reason, clients] of Object.entries(cases)) {
    test(`is reset at once, as one that nobody serves, and the reason is recorded: ${reason}`, async (t) => {
      const { way, told, dialer } = makeWay(t, () => assert.fail('dialled'), [{ listen: [FREE], clients }], {}, now);
      const [listening] = await way.listen();
      assert.ok(listening !== undefined && 'port' in listening.address);
      const visitor = net.connect(listening.address.port, '127.0.0.1');
      const [error] = await within('the reset', once(visitor, 'error'));
      assert.equal(error.code, 'ECONNRESET');
      assert.equal(dialer.calls.length, 0);
      const { record } = await told.first('access');
      assert.deepEqual([record.domain, record.way, record.reason, record.status], ['db.internal', 'tcp', reason, 403]);
    });
  }

  test('is another than one who may', async (t) => {
    const clients = { networks: [{ address: '127.0.0.0', prefix: 8 }], ranges: ['thu 11:00-13:00'] };
    const target = await startRawTarget();
    t.after(() => target.close());
    const { way } = makeWay(t, () => dialTarget(target.port), [{ listen: [FREE], clients }], {}, now);
    const [listening] = await way.listen();
    assert.ok(listening !== undefined && 'port' in listening.address);
    const visitor = await connectPeer(listening.address.port);
    await visitor.send('in');
    await (await target.next()).received(2);
    visitor.close();
  });
});

describe('the listeners', () => {
  test('are those of every domain, each told with its domain', async (t) => {
    const { way, told, dialer } = makeWay(t, () => new Promise(() => {}), [
      { name: 'a.test', listen: [FREE, FREE] },
      { name: 'b.test', listen: [FREE] },
      { name: 'c.test' },
    ]);
    const addresses = await way.listen();
    assert.deepEqual(
      addresses.map(({ domain }) => domain),
      ['a.test', 'a.test', 'b.test'],
    );
    assert.deepEqual(
      told.of('listening').map(({ purpose, domain }) => [purpose, domain]),
      [
        ['tcp', 'a.test'],
        ['tcp', 'a.test'],
        ['tcp', 'b.test'],
      ],
    );
    const last = addresses[2]?.address;
    assert.ok(last !== undefined && 'port' in last);
    const visitor = await connectPeer(last.port);
    await eventually('the dial', () => dialer.calls.length === 1);
    assert.equal(dialer.calls[0]?.name, `b.test:${last.port}`);
    visitor.close();
  });

  test('that two domains ask for are refused, naming both', async (t) => {
    const pairs: [SocketAddress, SocketAddress][] = [
      [
        { host: '127.0.0.1', port: 5432 },
        { host: '127.0.0.1', port: 5432 },
      ],
      [
        { host: '0.0.0.0', port: 5432 },
        { host: '127.0.0.1', port: 5432 },
      ],
      [
        { host: '::1', port: 5432 },
        { host: '::', port: 5432 },
      ],
      [{ path: '/run/x' }, { path: '/run/x' }],
    ];
    for (const [first, second] of pairs) {
      const { way } = makeWay(t, () => new Promise(() => {}), [
        { name: 'a.test', listen: [first] },
        { name: 'b.test', listen: [second] },
      ]);
      await assert.rejects(way.listen(), (error: BackdialError) => {
        assert.equal(error.code, 'listen-failed');
        assert.match(error.message, /by a\.test and by b\.test/);
        return true;
      });
    }
  });

  test('cannot be of a wildcard domain: what a TCP visitor wants is known by the port alone', (t) => {
    const make = () => makeWay(t, () => new Promise(() => {}), [{ name: '*.test', listen: [FREE] }]);
    assert.throws(make, { code: 'config-invalid', message: /\*\.test: a wildcard cannot have `listen`/ });
  });

  test('are all closed again when one of them fails', async (t) => {
    const taken = net.createServer();
    const takenPort = await listenOn(taken);
    const free = net.createServer();
    const freePort = await listenOn(free);
    await new Promise((resolve) => free.close(resolve));
    t.after(() => taken.close());
    const listen = [freePort, takenPort].map((port) => ({ host: '127.0.0.1', port }));
    const { way } = makeWay(t, () => new Promise(() => {}), [{ listen }]);
    await assert.rejects(way.listen(), { code: 'listen-failed' });
    free.listen(freePort, '127.0.0.1');
    await within('the port to be free', once(free, 'listening'));
    free.close();
  });

  test('stop at once, while visitors go on until they end', async (t) => {
    const { port, target, way } = await startJoined(t);
    const visitor = await connectPeer(port);
    const peer = await target.next();
    const drained = way.drained();
    const late = net.connect(port, '127.0.0.1');
    await within('the refusal', assert.rejects(once(late, 'connect'), { code: 'ECONNREFUSED' }));
    await visitor.send('still here');
    await peer.received(10);
    peer.fin();
    visitor.fin();
    await within('the drain', drained);
    assert.equal(way.connectionCount, 0);
  });

  test('reset their visitors, and the targets behind them, when they close', async (t) => {
    const { port, target, way, told } = await startJoined(t);
    const visitor = await connectPeer(port);
    const peer = await target.next();
    await visitor.send('x');
    await peer.received(1);
    await within('the close', way.close());
    assert.equal((await within('the end', visitor.ending)).verdict, 'reset');
    assert.equal((await within('the end', peer.ending)).verdict, 'reset');
    assert.equal((await told.first('access')).record.reason, 'tunnel-draining');
  });
});

describe('a TCP domain with a concurrency of 1', () => {
  test('keeps the second visitor waiting until the first has gone, and its bytes with it', async (t) => {
    const target: RawTarget = await startRawTarget();
    t.after(() => target.close());
    const { way, dialer, told } = makeWay(t, () => dialTarget(target.port), [{ listen: [FREE], concurrency: 1 }]);
    const [listening] = await way.listen();
    assert.ok(listening !== undefined && 'port' in listening.address);
    const { port } = listening.address;
    const first = await connectPeer(port);
    await target.next();
    const second = await connectPeer(port);
    await second.send('I came second');
    await eventually('the second visitor', () => way.connectionCount === 2);
    assert.equal(dialer.calls.length, 1);
    first.reset();
    const peer = await target.next();
    await eventually('what it said meanwhile', () => peer.text === 'I came second');
    second.reset();
    await eventually('both records', () => told.of('access').length === 2);
    assert.deepEqual(
      told.of('access').map(({ record }) => record.instance),
      ['one', 'one'],
    );
  });
});
