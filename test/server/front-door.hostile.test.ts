import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { hello, helloMessage, records } from '../support/client-hello.ts';
import { captureHello, startFrontDoor } from '../support/front-door.ts';
import { connectPeer, type Peer } from '../support/raw-target.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { CLEAN } from '../support/verdict.ts';
import { eventually, within } from '../support/within.ts';

async function connectRaw(t: TestContext, port: number): Promise<Peer> {
  const peer = await connectPeer(port);
  t.after(() => peer.close());
  return peer;
}

async function assertServes(t: TestContext, port: number): Promise<void> {
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'a.example.com', ca: testAuthority().cert });
  t.after(() => socket.destroy());
  await within('the handshake of another visitor', once(socket, 'secureConnect'));
  socket.write('ping');
  const [answer] = (await within('the echo', once(socket, 'data'))) as [Buffer];
  assert.equal(answer.toString(), 'ping');
}

async function assertAlert(peer: Peer, code: number): Promise<void> {
  assert.deepEqual(await within('the end', peer.ending), CLEAN);
  assert.deepEqual(peer.bytes, Buffer.of(0x15, 3, 3, 0, 2, 2, code));
}

const message = helloMessage({ serverName: 'a.example.com' });

/** What a stranger may send, the alert that answers it, and the reason that is told. */
const REFUSED: readonly [what: string, bytes: Buffer, alert: number, reason: string][] = [
  ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n'), 10, 'hello-invalid'],
  ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.9\r\n'), 10, 'hello-invalid'],
  [
    'a message that is no ClientHello',
    records(Buffer.concat([Buffer.of(2), message.subarray(1)])),
    10,
    'hello-invalid',
  ],
  ['a record over 16,384 bytes', Buffer.of(22, 3, 1, 0xff, 0xff), 22, 'hello-invalid'],
  ['a hello over 64 kB', hello({ serverName: 'a.example.com', bodyBytes: 65_537 }), 50, 'hello-invalid'],
  ['a malformed hello', records(Buffer.of(1, 0, 0, 4, 3, 3, 0, 0)), 50, 'hello-invalid'],
  ['no SNI', hello(), 112, 'certificate-missing'],
  ['a name without a certificate', hello({ serverName: 'www.example.org' }), 112, 'certificate-missing'],
  ['an IPv4 literal without a certificate', hello({ serverName: '127.0.0.1' }), 112, 'certificate-missing'],
  ['an empty label', hello({ serverName: 'a..example.com' }), 112, 'name-invalid'],
  ['two dots', hello({ serverName: '..' }), 112, 'name-invalid'],
  ['a trailing dot', hello({ serverName: 'a.example.com.' }), 112, 'name-invalid'],
  ['an empty name', hello({ serverName: '' }), 112, 'name-invalid'],
  ['an underscore', hello({ serverName: 'a_b.example.com' }), 112, 'name-invalid'],
  ['a name of 255 bytes', hello({ serverName: `${'a.'.repeat(125)}.test`.slice(-255) }), 112, 'name-invalid'],
  ['a line feed in the name', hello({ serverName: 'a\n.example.com' }), 112, 'name-invalid'],
  ['no ASCII', hello({ serverName: '\xe4.example.com' }), 112, 'name-invalid'],
];

describe('alerts arrive at a raw client, and each refusal is told once', () => {
  for (const [what, bytes, alert, reason] of REFUSED) {
    test(`${alert} for ${what}`, async (t) => {
      const { port, told, frontDoor } = await startFrontDoor(t);
      const peer = await connectRaw(t, port);
      await peer.send(bytes);
      await assertAlert(peer, alert);
      peer.close();
      await eventually('the close', () => frontDoor.connectionCount === 0);
      const refused = told.of('connection-refused');
      assert.deepEqual(
        refused.map((event) => event.reason),
        [reason],
      );
      assert.match(refused[0]?.detail ?? '', new RegExp(`\\(alert ${alert}\\)$`));
      assert.ok(!/[\n\x80-\xff]/.test(refused[0]?.detail.replaceAll('\xe4', '') ?? ''));
    });
  }

  test('112 for an invalid name even where `*` answers everything else', async (t) => {
    const { cert, key } = testCertificate();
    const { port } = await startFrontDoor(t, { certificates: [{ hosts: ['*'], cert, key }] });
    const peer = await connectRaw(t, port);
    await peer.send(hello({ serverName: 'a..example.com' }));
    await assertAlert(peer, 112);
  });

  test('50 for half a hello and a FIN', async (t) => {
    const { port, told } = await startFrontDoor(t);
    const peer = await connectRaw(t, port);
    peer.stream.end(hello({ serverName: 'a.example.com' }).subarray(0, 60));
    await assertAlert(peer, 50);
    assert.equal(told.of('connection-refused').length, 1);
  });

  test('none for who connects and goes: a probe is no news', async (t) => {
    const { port, told, frontDoor } = await startFrontDoor(t);
    const peer = await connectRaw(t, port);
    await eventually('the connection', () => frontDoor.connectionCount === 1);
    peer.fin();
    assert.deepEqual(await within('the end', peer.ending), CLEAN);
    assert.equal(peer.length, 0);
    await eventually('the close', () => frontDoor.connectionCount === 0);
    assert.equal(told.of('connection-refused').length, 0);
  });
});

describe('past the deadline', () => {
  const READ_TIMEOUT = { readTimeoutMs: 200 };

  for (const [what, bytes] of [
    ['silence', Buffer.alloc(0)],
    ['half a hello', hello().subarray(0, 60)],
  ] as const) {
    test(`${what} ends with alert 90`, async (t) => {
      const { port, told } = await startFrontDoor(t, READ_TIMEOUT);
      const started = performance.now();
      const peer = await connectRaw(t, port);
      if (bytes.length > 0) await peer.send(bytes);
      await assertAlert(peer, 90);
      const elapsed = performance.now() - started;
      assert.ok(elapsed > 150 && elapsed < 8_000, `${elapsed} ms`);
      assert.deepEqual(
        told.of('connection-refused').map(({ reason }) => reason),
        ['hello-timeout'],
      );
    });
  }

  test(
    'half a handshake is closed; the time of its hello counts',
    undisturbed(async (t) => {
      const { port, told, frontDoor, visitors } = await startFrontDoor(t, { readTimeoutMs: 500 });
      // A whole hello of a client that then says nothing more.
      const captured = await captureHello(t);
      // The end of a silent connection at a door whose time is shorter tells when the rest of the hello is due.
      const hasty = await startFrontDoor(t, { readTimeoutMs: 300 });
      // Would end before the handshake if that had the whole time again.
      const patient = await startFrontDoor(t, { readTimeoutMs: 650 });
      const silent = await connectRaw(t, hasty.port);
      const peer = await connectRaw(t, port);
      const started = performance.now();
      await connectRaw(t, patient.port);
      await peer.send(captured.subarray(0, 100));
      await within('the end of the silent connection', silent.ending);
      await peer.send(captured.subarray(100));
      await peer.received(100);
      await told.first('connection-refused');
      const elapsed = performance.now() - started;
      assert.ok(elapsed > 400, `${elapsed} ms`);
      assert.equal(patient.told.of('connection-refused').length, 0, `${elapsed} ms`);
      await within('the end', peer.ending);
      peer.close();
      await eventually('the close', () => frontDoor.connectionCount === 0);
      assert.deepEqual(
        told.of('connection-refused').map(({ reason, name }) => [reason, name]),
        [['hello-timeout', 'a.example.com']],
      );
      assert.equal(visitors.length, 0);
    }),
  );

  test(
    'a visitor that shook hands in time is left alone',
    undisturbed(async (t) => {
      const { port, told } = await startFrontDoor(t, READ_TIMEOUT);
      const socket = tls.connect({ port, host: '127.0.0.1', servername: 'a.example.com', ca: testAuthority().cert });
      socket.on('error', () => {});
      t.after(() => socket.destroy());
      await within('the handshake', once(socket, 'secureConnect'));
      // Who came later, and said nothing, is out of time.
      const silent = await connectRaw(t, port);
      await assertAlert(silent, 90);
      socket.write('ping');
      await within('the echo', once(socket, 'data'));
      assert.equal(told.of('connection-refused').length, 1);
    }),
  );
});

describe('a crowd', () => {
  test('of 1,000 silent connections blocks nobody', async (t) => {
    const { port, frontDoor } = await startFrontDoor(t);
    const peers = await Promise.all(Array.from({ length: 1_000 }, () => connectRaw(t, port)));
    await eventually('1,000 connections', () => frontDoor.connectionCount === 1_000);
    const started = performance.now();
    await assertServes(t, port);
    // Theirs is a time of 10 s.
    assert.ok(performance.now() - started < 8_000);
    for (const peer of peers) peer.close();
  });

  test('of 10 MB of garbage, ten times over, is cheap and blocks nobody', async (t) => {
    const { port, frontDoor, told } = await startFrontDoor(t);
    const garbage = Buffer.alloc(10_000_000, 0x58);
    const before = process.memoryUsage().rss;
    const peers = await Promise.all(Array.from({ length: 10 }, () => connectRaw(t, port)));
    for (const peer of peers) peer.stream.write(garbage);
    await assertServes(t, port);
    await Promise.all(peers.map((peer) => within('the end', peer.ending)));
    for (const peer of peers) peer.close();
    await eventually('the closes', () => frontDoor.connectionCount <= 1);
    assert.equal(told.of('connection-refused').length, 10);
    const grown = (process.memoryUsage().rss - before) / 1e6;
    assert.ok(grown < 100, `${grown} MB for 100 MB of garbage`);
  });

  test('of strangers cannot fill the log', async (t) => {
    const { port, told, frontDoor } = await startFrontDoor(t);
    const started = performance.now();
    for (let round = 0; round < 6; round += 1) {
      const peers = await Promise.all(Array.from({ length: 50 }, () => connectRaw(t, port)));
      for (const peer of peers) peer.stream.write('GET / HTTP/1.0\r\n\r\n');
      await Promise.all(peers.map((peer) => within('the end', peer.ending)));
      for (const peer of peers) peer.close();
    }
    await eventually('the closes', () => frontDoor.connectionCount === 0);
    // So many in 10 s; a busy machine may take longer.
    const most = 100 * Math.ceil((performance.now() - started) / 10_000);
    const { length } = told.of('connection-refused');
    assert.ok(length >= 100 && length <= most, `${length} of at most ${most}`);
  });

  test('over the limit of one address is turned away with one warning', async (t) => {
    const { port, told, frontDoor } = await startFrontDoor(t, { maxConnectionsPerAddress: 5 });
    const within5 = await Promise.all(Array.from({ length: 5 }, () => connectRaw(t, port)));
    await eventually('five', () => frontDoor.connectionCount === 5);
    const over = await Promise.all(Array.from({ length: 20 }, () => connectRaw(t, port)));
    await Promise.all(over.map((peer) => within('the end', peer.ending)));
    assert.equal(frontDoor.connectionCount, 5);
    assert.deepEqual(
      told.of('warning').map(({ code }) => code),
      ['connection-limit'],
    );
    within5[0]?.close();
    await eventually('a free place', () => frontDoor.connectionCount === 4);
    await assertServes(t, port);
  });
});
