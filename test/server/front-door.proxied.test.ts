import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { proxyHeader } from '../../src/net/proxy-protocol.ts';
import type { ServerOptions } from '../../src/server/options.ts';
import { testAuthority } from '../support/certificates.ts';
import { captureHello, startFrontDoor } from '../support/front-door.ts';
import { Inbox } from '../support/inbox.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { eventually, within } from '../support/within.ts';

const VISITOR = { address: '203.0.113.7', port: 51_442 };
const HERE = { address: '127.0.0.1', port: 443 };
const ADDRESS = { host: '127.0.0.1', port: 0 };
const LOCAL = [{ address: '127.0.0.1', prefix: 32 }];

function start(t: TestContext, more: Partial<ServerOptions> = {}) {
  return startFrontDoor(t, { listen: [{ address: ADDRESS, proxyProtocol: LOCAL }], ...more });
}

async function connect(t: TestContext, port: number, localAddress = '127.0.0.1'): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** A proxy's connection: its header, then the visitor's TLS. */
async function visit(t: TestContext, port: number, header: Buffer): Promise<tls.TLSSocket> {
  const socket = await connect(t, port);
  socket.write(header);
  return shake(socket);
}

async function shake(socket: net.Socket): Promise<tls.TLSSocket> {
  const tlsSocket = tls.connect({ socket, servername: 'a.example.com', ca: testAuthority().cert });
  tlsSocket.on('error', () => {});
  await within('the handshake', once(tlsSocket, 'secureConnect'));
  // The client's handshake is over before the server's.
  const inbox = new Inbox(tlsSocket);
  tlsSocket.write('?');
  await inbox.received(1);
  return tlsSocket;
}

async function closed(socket: net.Socket): Promise<void> {
  socket.resume();
  await within('the end', once(socket, 'close'));
}

describe('a front door with proxyProtocol', () => {
  for (const version of [1, 2] as const) {
    test(`believes a proxy that it trusts who the visitor is (version ${version})`, async (t) => {
      const { port, visitors } = await start(t);
      await visit(t, port, proxyHeader(version, VISITOR, HERE));
      assert.equal(visitors[0]?.connection.remote, '203.0.113.7:51442');
    });
  }

  test('has an IPv6 visitor by its address, and one in IPv4-mapped form as IPv4', async (t) => {
    const { port, visitors } = await start(t);
    const v6 = { address: '::1', port: 443 };
    await visit(t, port, proxyHeader(2, { address: '2001:db8::7', port: 5 }, v6));
    await visit(t, port, proxyHeader(2, { address: '::ffff:192.0.2.9', port: 6 }, v6));
    const remotes = visitors.map(({ connection }) => connection.remote);
    assert.deepEqual(remotes, ['[2001:db8::7]:5', '192.0.2.9:6']);
  });

  test('takes the proxy itself for the visitor where the header names none', async (t) => {
    const { port, visitors } = await start(t);
    const local = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');
    for (const header of [local, proxyHeader(1, null, HERE), proxyHeader(2, null, HERE)]) {
      const visitor = await visit(t, port, header);
      const own = net.isIPv4(visitor.localAddress ?? '') ? `${visitor.localAddress}:${visitor.localPort}` : '';
      assert.equal(visitors.at(-1)?.connection.remote, own);
    }
  });

  test('consumes exactly the header, in whatever pieces it comes', async (t) => {
    const { port, visitors } = await start(t);
    const hello = await captureHello(t);
    for (const version of [1, 2] as const) {
      const header = proxyHeader(version, VISITOR, HERE);
      // The hello in the same segment as the header's end, and byte by byte.
      const whole = await connect(t, port);
      whole.write(Buffer.concat([header, hello]));
      const answer = new Inbox(whole);
      await answer.received(5);
      assert.equal(answer.bytes[0], 0x16, 'a handshake record, no alert');
      const slow = await connect(t, port);
      for (const byte of header) {
        await new Promise<void>((resolve) => slow.write(Buffer.of(byte), () => resolve()));
      }
      await shake(slow);
      assert.equal(visitors.at(-1)?.connection.remote, '203.0.113.7:51442');
    }
  });

  test('turns away who comes from elsewhere, whatever is sent', async (t) => {
    const { port, told, visitors } = await start(t);
    const spoofer = await connect(t, port, '127.0.0.2');
    spoofer.write(proxyHeader(1, VISITOR, HERE));
    await closed(spoofer);
    const { remote, reason, name } = await told.first('connection-refused');
    assert.match(remote, /^127\.0\.0\.2:\d+$/);
    assert.deepEqual({ reason, name }, { reason: 'proxy-untrusted', name: null });
    assert.equal(visitors.length, 0);
  });

  test('closes a connection without a header, and tells it with what came', async (t) => {
    const { port, told } = await start(t);
    const direct = await connect(t, port);
    direct.write(await captureHello(t));
    const inbox = new Inbox(direct);
    await closed(direct);
    assert.equal(inbox.bytes.length, 0, 'no alert: there was no TLS yet');
    const { reason, detail } = await told.first('connection-refused');
    assert.equal(reason, 'proxy-header-invalid');
    assert.match(detail, /no PROXY header: it begins with 160301/);
  });

  test('closes a malformed and a cut header; a probe that says nothing is no news', async (t) => {
    const { port, told } = await start(t);
    const probe = await connect(t, port);
    probe.end();
    await closed(probe);
    const malformed = await connect(t, port);
    malformed.write('PROXY TCP4 1.1.1.1 2.2.2.2 1 70000\r\n');
    await closed(malformed);
    const cut = await connect(t, port);
    cut.end('PROXY TCP4 1.1');
    await closed(cut);
    await eventually('both are told', () => told.of('connection-refused').length === 2);
    const [first, second] = told.of('connection-refused');
    assert.match(first?.detail ?? '', /two ports/);
    assert.match(second?.detail ?? '', /cut after 14 bytes/);
  });

  test('gives a header the time of a first head, however it trickles', async (t) => {
    const { port, told } = await start(t, { readTimeoutMs: 150 });
    const began = performance.now();
    const slow = await connect(t, port);
    const drip = setInterval(() => slow.write('P'.repeat(slow.bytesWritten === 0 ? 1 : 0)), 20);
    await closed(slow);
    clearInterval(drip);
    assert.ok(performance.now() - began < 5_000);
    const { reason } = await told.first('connection-refused');
    assert.equal(reason, 'proxy-header-timeout');
  });

  test(
    'gives header and hello one deadline',
    undisturbed(async (t) => {
      const { port, told } = await start(t, { readTimeoutMs: 500 });
      // Would end before the hello if that had the whole time again, from the header on.
      const patient = await startFrontDoor(t, { readTimeoutMs: 650 });
      const slow = await connect(t, port);
      const began = performance.now();
      await connect(t, patient.port);
      setTimeout(() => slow.write(proxyHeader(1, VISITOR, HERE)), 250).unref();
      const { reason, remote } = await told.first('connection-refused');
      assert.deepEqual({ reason, remote }, { reason: 'hello-timeout', remote: '203.0.113.7:51442' });
      const took = performance.now() - began;
      assert.ok(took >= 490, `${took}`);
      assert.equal(patient.told.of('connection-refused').length, 0);
      await closed(slow);
    }),
  );

  test('counts each visitor by its own address, and the proxy by none', async (t) => {
    const { port, told, visitors } = await start(t, { maxConnectionsPerAddress: 2 });
    const from = (address: string) => proxyHeader(1, { address, port: 1 }, HERE);
    for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.3']) await visit(t, port, from(address));
    assert.equal(visitors.length, 4);
    const third = await connect(t, port);
    third.write(from('192.0.2.1'));
    await closed(third);
    const { code, message } = await told.first('warning');
    assert.equal(code, 'connection-limit');
    assert.match(message, /192\.0\.2\.1 has its limit of 2/);
    visitors[0]?.tlsSocket.destroy();
    await eventually('the place is free', () => visitors[0]?.connection.raw.destroyed === true);
    await visit(t, port, from('192.0.2.1'));
  });

  test('counts all against the limit of connections, those without a header too', async (t) => {
    const { port } = await start(t, { maxConnections: 1 });
    await connect(t, port);
    const second = await connect(t, port);
    await closed(second);
  });
});

describe('front doors with certificates of their own', () => {
  test('present those, and the others those of the server', async (t) => {
    const { issueCertificate } = await import('../support/certificates.ts');
    const own = issueCertificate(['DNS:own.test']);
    const hosts = ['own.test'];
    const { frontDoor, port } = await startFrontDoor(t, {
      listen: [ADDRESS, { address: ADDRESS, certificates: [{ hosts, cert: own.cert, key: own.key }] }],
    });
    const [, second] = frontDoor.addresses;
    assert.ok(second !== undefined && 'port' in second);
    const names = async (at: number, servername: string) => {
      const socket = tls.connect({ port: at, host: '127.0.0.1', servername, ca: testAuthority().cert });
      t.after(() => socket.destroy());
      const shaken = once(socket, 'secureConnect').then(() => socket.getPeerCertificate().subjectaltname);
      return within('the handshake', shaken).catch((error: NodeJS.ErrnoException) => error.code);
    };
    assert.equal(await names(second.port, 'own.test'), 'DNS:own.test');
    assert.match(String(await names(port, 'a.example.com')), /example\.com/);
    const alert = 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME';
    assert.equal(await names(port, 'own.test'), alert);
    assert.equal(await names(second.port, 'a.example.com'), alert);
  });
});
