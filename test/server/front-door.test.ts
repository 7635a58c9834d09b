import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { BackdialError } from '../../src/core/errors.ts';
import { resetDuplex } from '../../src/net/reset.ts';
import { issueCertificate, testAuthority } from '../support/certificates.ts';
import { helloMessage, records } from '../support/client-hello.ts';
import { captureHello, startFrontDoor } from '../support/front-door.ts';
import { Inbox } from '../support/inbox.ts';
import { listenOn } from '../support/listen-on.ts';
import { connectPeer } from '../support/raw-target.ts';
import { connectWire } from '../support/sockets.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { eventually, within } from '../support/within.ts';

/** A TLS client that has shaken hands. */
async function connectTls(t: TestContext, port: number, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    port,
    host: '127.0.0.1',
    servername: 'a.example.com',
    ca: testAuthority().cert,
    ...options,
  });
  t.after(() => socket.destroy());
  await within('the handshake', once(socket, 'secureConnect'));
  socket.on('error', () => {});
  return socket;
}

async function echo(socket: net.Socket, text: string): Promise<string> {
  const inbox = new Inbox(socket);
  socket.write(text);
  await inbox.received(text.length);
  return inbox.text;
}

/** A relay in front of `port` that changes what the client sends first. */
async function startRelay(t: TestContext, port: number, send: (hello: Buffer, to: net.Socket) => Promise<void>) {
  const server = net.createServer({ noDelay: true }, (client) => {
    const upstream = net.connect({ port, host: '127.0.0.1', noDelay: true });
    for (const socket of [client, upstream]) socket.on('error', () => {});
    t.after(() => {
      client.destroy();
      upstream.destroy();
    });
    client.once('data', (hello: Buffer) => {
      client.pause();
      void send(hello, upstream).then(() => client.pipe(upstream));
    });
    upstream.pipe(client);
  });
  t.after(() => server.close());
  return listenOn(server);
}

function writeBytewise(bytes: Buffer, to: net.Socket): Promise<void> {
  return Array.from(bytes).reduce(
    (before, byte) => before.then(() => new Promise((resolve) => to.write(Buffer.of(byte), () => resolve()))),
    Promise.resolve(),
  );
}

describe('a visitor', () => {
  test('is handed over after its handshake, with its name and the socket below, under its certificate', async (t) => {
    const other = issueCertificate(['DNS:other.test']);
    const own = issueCertificate(['DNS:a.example.com']);
    const { port, visitors } = await startFrontDoor(t, {
      certificates: [
        { hosts: ['other.test'], cert: other.cert, key: other.key },
        { hosts: ['a.example.com'], cert: own.cert, key: own.key },
      ],
    });
    const socket = await connectTls(t, port, { servername: 'A.Example.com', ALPNProtocols: ['h2', 'http/1.1'] });
    assert.equal(await echo(socket, 'ping'), 'ping');
    assert.equal(socket.alpnProtocol, 'h2');
    assert.equal(socket.getPeerCertificate().subjectaltname, 'DNS:a.example.com');
    const [visitor] = visitors;
    assert.equal(visitor?.connection.name, 'a.example.com');
    assert.equal(visitor?.connection.remote, `127.0.0.1:${socket.localPort}`);
    assert.ok(visitor?.connection.raw instanceof net.Socket && !(visitor.connection.raw instanceof tls.TLSSocket));
  });

  test('without SNI gets the certificate of `*`', async (t) => {
    const { cert, key } = issueCertificate(['IP:127.0.0.1']);
    const { port, visitors } = await startFrontDoor(t, { certificates: [{ hosts: ['*'], cert, key }] });
    const socket = tls.connect({ port, host: '127.0.0.1', ca: testAuthority().cert });
    t.after(() => socket.destroy());
    await within('the handshake', once(socket, 'secureConnect'));
    await eventually('the visitor', () => visitors.length === 1);
    assert.equal(visitors[0]?.connection.name, null);
  });

  test('is never taken for another one, however many shake hands at once', async (t) => {
    const { port, visitors } = await startFrontDoor(t, {}, ({ tlsSocket, connection }) => {
      tlsSocket.end(`${connection.name} ${connection.remote}`);
    });
    const one = async (index: number) => {
      const servername = `visitor-${index}.example.com`;
      const socket = await connectTls(t, port, { servername });
      const local = `127.0.0.1:${socket.localPort}`;
      const inbox = new Inbox(socket);
      await within('the end', once(socket, 'end'));
      assert.equal(inbox.text, `${servername} ${local}`);
    };
    await Promise.all(Array.from({ length: 100 }, (_, index) => one(index)));
    assert.equal(new Set(visitors.map(({ connection }) => connection.raw)).size, 100);
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`that resumes a session keeps its name (${version})`, async (t) => {
      const { port, visitors } = await startFrontDoor(t);
      const only = { minVersion: version, maxVersion: version };
      const first = tls.connect({
        port,
        host: '127.0.0.1',
        servername: 'a.example.com',
        ca: testAuthority().cert,
        ...only,
      });
      t.after(() => first.destroy());
      const [session] = (await within('a session ticket', once(first, 'session'))) as [Buffer];
      assert.equal(await echo(first, 'x'), 'x');
      const second = await connectTls(t, port, { session, ...only });
      assert.equal(second.isSessionReused(), true);
      assert.equal(await echo(second, 'y'), 'y');
      assert.deepEqual(
        visitors.map(({ connection }) => connection.name),
        ['a.example.com', 'a.example.com'],
      );
    });

    test(`is OpenSSL (${version})`, { skip: missingTools('openssl') }, async (t) => {
      const { port } = await startFrontDoor(t);
      const protocol = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3';
      const where = ['-connect', `127.0.0.1:${port}`, '-servername', 'a.example.com'];
      const trust = ['-CAfile', testAuthority().certFile, '-verify_return_error', '-verify_hostname', 'a.example.com'];
      const child = spawn(findTool('openssl'), ['s_client', '-quiet', protocol, ...where, ...trust]);
      t.after(() => child.kill());
      const output = new Inbox(child.stdout);
      child.stdin.write('ping\n');
      await output.receivedText('ping\n');
    });
  }

  test('whose hello comes byte by byte is served', async (t) => {
    const { port } = await startFrontDoor(t);
    const relay = await startRelay(t, port, writeBytewise);
    assert.equal(await echo(await connectTls(t, relay), 'ping'), 'ping');
  });

  test('whose hello comes in records of one byte is served', async (t) => {
    const { port } = await startFrontDoor(t);
    const relay = await startRelay(t, port, async (hello, to) => {
      to.write(records(hello.subarray(5), 1));
    });
    assert.equal(await echo(await connectTls(t, relay), 'ping'), 'ping');
  });

  test('can be reset through its TLS socket', async (t) => {
    const { port, visitors } = await startFrontDoor(t, {}, () => {});
    const { stream } = await connectWire(port, { tls: true, servername: 'a.example.com' });
    t.after(() => stream.destroy());
    await eventually('the visitor', () => visitors.length === 1);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    stream.resume();
    if (visitors[0] !== undefined) resetDuplex(visitors[0].tlsSocket, new Error('test'));
    await within('the reset', closed);
    assert.equal(stream.errored === null ? 'clean' : (stream.errored as NodeJS.ErrnoException).code, 'ECONNRESET');
  });

  test('that says FIN right behind its hello does not stay', async (t) => {
    const { port, frontDoor, visitors } = await startFrontDoor(t);
    const peer = await connectPeer(port);
    peer.stream.end(await captureHello(t));
    await within('the end', peer.ending, 8_000);
    await eventually('no connection', () => frontDoor.connectionCount === 0, 8_000);
    peer.close();
    assert.equal(visitors.length, 0);
  });
});

describe('the handshake', () => {
  const refusedClients: Record<string, tls.ConnectionOptions> = {
    'TLS 1.1': { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
    'CBC ciphers': { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384' },
    'key exchange without forward secrecy': { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
  };
  for (const [what, options] of Object.entries(refusedClients)) {
    test(`refuses ${what}, and says so once`, async (t) => {
      const { port, told, visitors } = await startFrontDoor(t);
      await assert.rejects(connectTls(t, port, options), { code: /ALERT|PROTOCOL|ECONNRESET/ });
      const refused = await told.first('connection-refused');
      assert.equal(refused.reason, 'visitor-tls');
      assert.equal(refused.name, 'a.example.com');
      assert.equal(told.of('connection-refused').length, 1);
      assert.equal(visitors.length, 0);
    });
  }

  test('prefers AES-128-GCM', async (t) => {
    const { port } = await startFrontDoor(t);
    const ciphers = 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256';
    const old = await connectTls(t, port, { maxVersion: 'TLSv1.2', ciphers });
    assert.equal(old.getCipher().name, 'ECDHE-ECDSA-AES128-GCM-SHA256');
    assert.equal((await connectTls(t, port)).getCipher().name, 'TLS_AES_128_GCM_SHA256');
  });

  test('agrees on keys in a way that quantum computers do not undo, where the visitor can', async (t) => {
    const { port } = await startFrontDoor(t);
    const { name } = (await connectTls(t, port)).getEphemeralKeyInfo() as { name?: string };
    assert.equal(name, 'X25519MLKEM768');
  });

  test('cannot be repeated on an open connection', { skip: missingTools('openssl') }, async (t) => {
    const { port } = await startFrontDoor(t);
    const where = ['-connect', `127.0.0.1:${port}`, '-servername', 'a.example.com'];
    const child = spawn(findTool('openssl'), ['s_client', '-tls1_2', ...where]);
    t.after(() => child.kill());
    const output = new Inbox(child.stdout);
    const problems = new Inbox(child.stderr);
    await output.receivedText('Verify return code');
    child.stdin.write('R\n');
    await problems.receivedText('no renegotiation');
  });
});

describe('stopping', () => {
  test('leaves what is open alone until it ends', async (t) => {
    const { port, frontDoor } = await startFrontDoor(t);
    const socket = await connectTls(t, port);
    assert.equal(frontDoor.connectionCount, 1);
    frontDoor.stop();
    const late = net.connect(port, '127.0.0.1');
    await within('the refusal', assert.rejects(once(late, 'connect'), { code: 'ECONNREFUSED' }));
    assert.equal(await echo(socket, 'still here'), 'still here');
    const drained = frontDoor.drained();
    socket.end();
    await within('the end', drained);
    assert.equal(frontDoor.connectionCount, 0);
  });

  test('is not held up by connections that say nothing', async (t) => {
    const { port, frontDoor, told } = await startFrontDoor(t);
    const silent = await connectPeer(port);
    const half = await connectPeer(port);
    await half.send(records(helloMessage({ serverName: 'a.example.com' })).subarray(0, 50));
    await eventually('two connections', () => frontDoor.connectionCount === 2);
    await within('the drain', frontDoor.drained(), 8_000);
    silent.close();
    half.close();
    assert.equal(told.of('connection-refused').length, 0);
  });

  test('lets a handshake that is under way end', async (t) => {
    const { port, frontDoor } = await startFrontDoor(t);
    const relay = await startRelay(t, port, async (hello, to) => {
      to.write(hello.subarray(0, 100));
      await eventually('the connection', () => frontDoor.connectionCount === 1);
      frontDoor.stop();
      to.write(hello.subarray(100));
    });
    assert.equal(await echo(await connectTls(t, relay), 'ping'), 'ping');
  });

  test('by close ends visitors, half handshakes and silent connections alike', async (t) => {
    const { port, frontDoor, told } = await startFrontDoor(t);
    const visitor = await connectTls(t, port);
    const silent = await connectPeer(port);
    const half = await connectPeer(port);
    await half.send(records(helloMessage({ serverName: 'a.example.com' })).subarray(0, 50));
    await eventually('three connections', () => frontDoor.connectionCount === 3);
    const ends = [once(visitor, 'close'), silent.ending, half.ending];
    visitor.resume();
    await within('the close', frontDoor.close());
    assert.equal(frontDoor.connectionCount, 0);
    await within('the ends', Promise.all(ends));
    silent.close();
    half.close();
    await frontDoor.close();
    assert.equal(told.of('connection-refused').length, 0);
  });
});

describe('listening', () => {
  test('is told, with the address', async (t) => {
    const { port, told } = await startFrontDoor(t);
    assert.deepEqual(told.of('listening'), [
      { type: 'listening', purpose: 'front-door', address: `127.0.0.1:${port}` },
    ]);
  });

  test('that fails at one address leaves none open', async (t) => {
    const taken = net.createServer();
    const port = await listenOn(taken);
    const free = net.createServer();
    const freePort = await listenOn(free);
    await new Promise((resolve) => free.close(resolve));
    t.after(() => taken.close());
    const listen = [freePort, port].map((one) => ({ host: '127.0.0.1', port: one }));
    await assert.rejects(
      startFrontDoor(t, { listen }),
      (error) => error instanceof BackdialError && error.code === 'listen-failed',
    );
    await listenOn(free);
    free.close();
  });

  test('warns of domains that no certificate covers, but for those with TCP ports of their own', async (t) => {
    const listen = [{ host: '127.0.0.1', port: 0 }];
    const domains = [
      { name: 'a.example.com', secrets: [] },
      { name: 'b.example.org', secrets: [] },
      { name: 'database', secrets: [], listen },
    ];
    const { told } = await startFrontDoor(t, { domains });
    assert.deepEqual(
      told.of('warning').map(({ code }) => code),
      ['certificate-missing'],
    );
    assert.match(told.of('warning')[0]?.message ?? '', /b\.example\.org/);
  });
});
