import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import tls, { type TLSSocket } from 'node:tls';
import type { CertificateOptions, ServerOptions } from '../../src/server/options.ts';
import { createServer } from '../../src/server/server.ts';
import { issueCertificate, testAuthority } from '../support/certificates.ts';
import { EventLog } from '../support/event-log.ts';
import { Inbox } from '../support/inbox.ts';
import { listenOn } from '../support/listen-on.ts';
import { steadyPort } from '../support/steady-port.ts';
import { eventually, within } from '../support/within.ts';

const HOST = '127.0.0.1';
const REQUEST = 'GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n';

function issued(hosts: readonly string[]): CertificateOptions {
  const { cert, key } = issueCertificate(hosts.map((host) => `DNS:${host}`));
  return { hosts, cert, key };
}

/** A server on a port that can be asked for again. */
async function start(t: TestContext, given: Partial<ServerOptions> = {}) {
  const events = new EventLog();
  const port = await steadyPort();
  const options: ServerOptions = {
    listen: [{ host: HOST, port }],
    certificates: [issued(['www.example.com'])],
    domains: [],
    name: 'node-1',
    observer: events.observer,
    ...given,
  };
  const server = createServer(options);
  t.after(() => server.close({ drainMs: 0 }));
  await server.listen();
  return { server, options, port, events };
}

async function visit(t: TestContext, port: number, options: tls.ConnectionOptions = {}): Promise<TLSSocket> {
  const ca = testAuthority().cert;
  const socket = tls.connect({ port, host: HOST, servername: 'www.example.com', ca, ...options });
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  await within('the handshake', once(socket, 'secureConnect'));
  return socket;
}

/** The status of the answer to a request on an open connection. */
async function ask(socket: TLSSocket, request = REQUEST): Promise<string> {
  const inbox = new Inbox(socket);
  socket.write(request);
  await within(
    'an answer',
    eventually('a status line', () => inbox.text.includes('\r\n')),
  );
  return inbox.text.slice(9, 12);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: HOST });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

describe('a certificate that is renewed', () => {
  test('is shown to who comes next; who is connected goes on', async (t) => {
    const { server, options, port } = await start(t);
    const before = await visit(t, port);
    assert.equal(await ask(before), '404');
    const renewed = issued(['www.example.com']);
    const result = await server.apply({ ...options, certificates: [renewed] });
    assert.deepEqual(result, { changes: [{ what: 'option', key: 'certificates' }], restartRequired: [], failures: [] });
    const after = await visit(t, port);
    assert.equal(await ask(before), '404');
    assert.equal(await ask(after), '404');
    const [old, shown] = [before, after].map((socket) => socket.getPeerX509Certificate()?.toString());
    assert.equal(shown, renewed.cert);
    assert.notEqual(old, shown);
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`voids no session ticket (${version})`, async (t) => {
      const { server, options, port } = await start(t);
      const only = { minVersion: version, maxVersion: version };
      const first = tls.connect({ port, host: HOST, servername: 'www.example.com', ca: testAuthority().cert, ...only });
      t.after(() => first.destroy());
      const [session] = (await within('a ticket', once(first, 'session'))) as [Buffer];
      assert.equal(await ask(first), '404');
      await server.apply({ ...options, certificates: [issued(['www.example.com'])] });
      const second = await visit(t, port, { session, ...only });
      assert.equal(second.isSessionReused(), true);
    });
  }

  test('is refused where its key is not its own; the old one stays', async (t) => {
    const { server, options, port } = await start(t);
    const broken = { ...issued(['www.example.com']), key: issued(['other.test']).key };
    await assert.rejects(server.apply({ ...options, maxHeaderBytes: 2_000, certificates: [broken] }), {
      code: 'config-invalid',
      message: /`key` is not the key of `cert`/,
    });
    const socket = await visit(t, port);
    assert.equal(
      await ask(socket, `GET / HTTP/1.1\r\nHost: www.example.com\r\nX: ${'x'.repeat(5_000)}\r\n\r\n`),
      '404',
    );
  });

  test('of a name that comes or goes is found or missed at once', async (t) => {
    const { server, options, port } = await start(t);
    await assert.rejects(visit(t, port, { servername: 'new.test' }), /unrecognized name/i);
    await server.apply({ ...options, certificates: [issued(['new.test'])] });
    await visit(t, port, { servername: 'new.test' });
    await assert.rejects(visit(t, port), /unrecognized name/i);
  });

  test('moves nobody to another host of the same connection: 421 follows the entries of today', async (t) => {
    const shared = issued(['www.example.com', 'api.example.com']);
    const { server, options, port } = await start(t, { certificates: [shared] });
    const other = 'GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n';
    const socket = await visit(t, port);
    assert.equal(await ask(socket, other), '404');
    await server.apply({ ...options, certificates: [issued(['api.example.com']), issued(['www.example.com'])] });
    assert.equal(await ask(socket, other), '421');
    assert.equal(await ask(socket), '404');
    await server.apply({ ...options, certificates: [issued(['x.test']), shared] });
    assert.equal(await ask(socket, other), '404');
  });
});

describe('listeners', () => {
  test('come and go; those that stay keep their connections', async (t) => {
    const { server, options, port, events } = await start(t);
    const kept = await visit(t, port);
    const more = await steadyPort();
    await server.apply({ ...options, listen: [...options.listen, { host: HOST, port: more }] });
    await events.wait('listening', ({ address }) => address === `${HOST}:${more}`);
    const there = await visit(t, more);
    await server.apply(options);
    assert.equal(await accepts(more), false);
    assert.equal(await ask(kept), '404');
    // Its visitors are served on: only the door is closed.
    assert.equal(await ask(there), '404');
    assert.equal(events.of('listening').length, 2);
  });

  test('that cannot be opened are told, and tried again next time; everything else is applied', async (t) => {
    const { server, options, port } = await start(t);
    const other = net.createServer();
    t.after(() => other.close());
    const taken = await listenOn(other);
    const next: ServerOptions = {
      ...options,
      listen: [
        { host: HOST, port },
        { host: HOST, port: taken },
      ],
      maxHeaderBytes: 2_000,
    };
    const result = await server.apply(next);
    assert.deepEqual(
      result.failures.map(({ code }) => code),
      ['listen-failed'],
    );
    assert.match(result.failures[0]?.message ?? '', /another process listens there/);
    const socket = await visit(t, port);
    assert.equal(
      await ask(socket, `GET / HTTP/1.1\r\nHost: www.example.com\r\nX: ${'x'.repeat(5_000)}\r\n\r\n`),
      '431',
    );
    other.close();
    await once(other, 'close');
    assert.deepEqual(await server.apply(next), { changes: [], restartRequired: [], failures: [] });
    await visit(t, taken);
  });

  test('that send to https come and go, and know where the front door moved', async (t) => {
    const { server, options, port } = await start(t);
    const [plain, moved] = [await steadyPort(), await steadyPort()];
    const location = async () => {
      const response = await fetch(`http://${HOST}:${plain}/x`, { redirect: 'manual' });
      return response.headers.get('location');
    };
    await server.apply({ ...options, redirect: [{ host: HOST, port: plain }] });
    assert.equal(await location(), `https://${HOST}:${port}/x`);
    await server.apply({ ...options, redirect: [{ host: HOST, port: plain }], listen: [{ host: HOST, port: moved }] });
    assert.equal(await location(), `https://${HOST}:${moved}/x`);
    await server.apply({ ...options, redirect: [] });
    assert.equal(await accepts(plain), false);
  });

  test('and the front door may change places', async (t) => {
    const plain = await steadyPort();
    const { server, options, port } = await start(t, { redirect: [{ host: HOST, port: plain }] });
    const swapped = { listen: [{ host: HOST, port: plain }], redirect: [{ host: HOST, port }] };
    assert.deepEqual((await server.apply({ ...options, ...swapped })).failures, []);
    await visit(t, plain);
    assert.equal((await fetch(`http://${HOST}:${port}/`, { redirect: 'manual' })).status, 308);
  });

  test('change their owner: a TCP port goes from one domain to another in one step', async (t) => {
    const { server, options, events } = await start(t);
    const listen = [{ host: HOST, port: await steadyPort() }];
    const ownedBy = (name: string): ServerOptions => ({ ...options, domains: [{ name, secrets: [], listen }] });
    assert.deepEqual((await server.apply(ownedBy('one.test'))).failures, []);
    assert.deepEqual((await server.apply(ownedBy('two.test'))).failures, []);
    assert.deepEqual(
      events.of('listening').map(({ domain }) => domain),
      [undefined, 'one.test', 'two.test'],
    );
  });

  test('asked for by two domains are opened for the first', async (t) => {
    const { server, options, events } = await start(t);
    const listen = [{ host: HOST, port: await steadyPort() }];
    const domains = ['one.test', 'two.test'].map((name) => ({ name, secrets: [], listen }));
    const { failures } = await server.apply({ ...options, domains });
    assert.match(failures[0]?.message ?? '', /asked for by one\.test and by two\.test/);
    assert.deepEqual(
      events.of('listening').map(({ domain }) => domain),
      [undefined, 'one.test'],
    );
  });
});

describe('options', () => {
  test('are limits of the connections to come, and of those that are open where each request is measured', async (t) => {
    const { server, options, port } = await start(t);
    await server.apply({ ...options, unavailableStatus: 410 });
    const socket = await visit(t, port);
    assert.equal(await ask(socket), '410');
    await server.apply({ ...options, unavailableStatus: 403 });
    assert.equal(await ask(socket), '403');
  });

  test('that take a restart are named, and are as they were', async (t) => {
    const { server, options, port } = await start(t);
    const result = await server.apply({ ...options, name: 'node-2', unavailableStatus: 410 });
    assert.deepEqual(result.restartRequired, ['name']);
    assert.equal(await ask(await visit(t, port)), '410');
    assert.deepEqual((await server.apply({ ...options, name: 'node-2', unavailableStatus: 410 })).restartRequired, [
      'name',
    ]);
    assert.deepEqual((await server.apply({ ...options, unavailableStatus: 410 })).restartRequired, []);
  });

  test('leave a front door whose successor takes a restart as it is, with its own certificates', async (t) => {
    const port = await steadyPort();
    const listen = [{ address: { host: HOST, port }, certificates: [issued(['www.example.com'])] }];
    const { server, options } = await start(t, { listen, certificates: [issued(['other.test'])] });
    const result = await server.apply({ ...options, listen: [{ systemd: 'https' }] });
    assert.deepEqual(result.restartRequired, ['listen']);
    assert.equal(await ask(await visit(t, port)), '404');
  });

  test('that are invalid change nothing, whatever else is asked for', async (t) => {
    const { server, options, port } = await start(t);
    const listen = [{ host: HOST, port: await steadyPort() }];
    await assert.rejects(server.apply({ ...options, listen, readTimeoutMs: -1 }), { code: 'config-invalid' });
    assert.equal(await ask(await visit(t, port)), '404');
    assert.equal(await accepts(listen[0]?.port ?? 0), false);
  });

  test('are applied one after the other, the last one wins', async (t) => {
    const { server, options, port } = await start(t);
    const wanted = [410, 403, 404, 451];
    await Promise.all(wanted.map((unavailableStatus) => server.apply({ ...options, unavailableStatus })));
    assert.equal(await ask(await visit(t, port)), '451');
  });

  test('are refused once the server is closing', async (t) => {
    const { server, options } = await start(t);
    await server.close({ drainMs: 0 });
    await assert.rejects(server.apply(options), { code: 'tunnel-draining' });
  });
});
