import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { hashedName } from '../../src/core/host-name.ts';
import type { ServerOptions } from '../../src/index.ts';
import { alertToName } from '../support/alert.ts';
import { type BackendServer, startBackendServer } from '../support/backend-server.ts';
import { issueCertificate, testCertificate } from '../support/certificates.ts';
import { hello } from '../support/client-hello.ts';
import { connectPeer, type Peer, startRawTarget } from '../support/raw-target.ts';
import { within } from '../support/within.ts';

/** A server with a hosts folder; both gone after the test. */
async function startHosts(t: TestContext, more: Partial<ServerOptions> = {}, hashed = false) {
  const folder = await mkdtemp(join(tmpdir(), 'backdial-test-'));
  const hosts = join(folder, 'hosts');
  await mkdir(hosts);
  const backend = await startBackendServer(null, { sni: { hosts, hashed }, ...more });
  t.after(async () => {
    await backend.close();
    await rm(folder, { recursive: true });
  });
  return { folder, hosts, backend };
}

/** A backend that says its own name to whoever comes, at a socket of a short path. */
async function startNamed(t: TestContext, folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  const greet = (peer: Peer) => void peer.received(1).then(() => peer.stream.end(name));
  const target = await startRawTarget({ path, onPeer: greet });
  t.after(() => target.close());
  return path;
}

async function addHost(hosts: string, name: string, socket: string): Promise<void> {
  await mkdir(join(hosts, name));
  await symlink(socket, join(hosts, name, 'tls-socket'));
}

/** Which backend a hello with this name reaches. */
async function reached({ frontDoor }: BackendServer, serverName: string): Promise<string> {
  const visitor = await connectPeer(frontDoor);
  visitor.stream.end(hello({ serverName }));
  await within('the end', visitor.ending);
  return visitor.text;
}

/** A name of 254 bytes, whose folder makes a path that no Unix socket may have. */
const LONG = `${`${'a'.repeat(62)}.`.repeat(4).slice(0, 246)}.example`;

describe('the hosts folder', () => {
  test('has a backend for a name, whatever its case and length, through symbolic links', async (t) => {
    const { folder, hosts, backend } = await startHosts(t);
    const one = await startNamed(t, folder, 'one');
    await addHost(hosts, 'www.example.org', one);
    await addHost(hosts, LONG, one);
    await symlink('www.example.org', join(hosts, 'alias.example.org'));
    assert.equal(LONG.length, 254);
    for (const name of ['www.example.org', 'WWW.EXAMPLE.ORG', 'alias.example.org', LONG])
      assert.equal(await reached(backend, name), 'one', name);
  });

  test('is looked up for each connection: what is added, swapped or removed counts at once', async (t) => {
    const { folder, hosts, backend } = await startHosts(t, certificatesFor('other.example.com'));
    const [one, two] = [await startNamed(t, folder, 'one'), await startNamed(t, folder, 'two')];
    assert.equal(await alertToName(backend.frontDoor, 'www.example.org'), 112);
    await addHost(hosts, 'www.example.org', one);
    assert.equal(await reached(backend, 'www.example.org'), 'one');
    for (const [socket, name] of [
      [two, 'two'],
      [one, 'one'],
    ] as const) {
      await symlink(socket, join(folder, 'next'));
      await rename(join(folder, 'next'), join(hosts, 'www.example.org', 'tls-socket'));
      assert.equal(await reached(backend, 'www.example.org'), name);
    }
    await rm(join(hosts, 'www.example.org'), { recursive: true });
    assert.equal(await alertToName(backend.frontDoor, 'www.example.org'), 112);
  });

  test('never loses a visitor while links are swapped under load', async (t) => {
    const { folder, hosts, backend } = await startHosts(t);
    const sockets = [await startNamed(t, folder, 'one'), await startNamed(t, folder, 'two')];
    await addHost(hosts, 'www.example.org', sockets[0] ?? '');
    const swapping = (async () => {
      for (let at = 0; at < 50; at += 1) {
        await symlink(sockets[at % 2] ?? '', join(folder, `next-${at}`));
        await rename(join(folder, `next-${at}`), join(hosts, 'www.example.org', 'tls-socket'));
      }
    })();
    const names = await Promise.all(Array.from({ length: 200 }, () => reached(backend, 'www.example.org')));
    await swapping;
    assert.deepEqual(
      names.filter((name) => name !== 'one' && name !== 'two'),
      [],
    );
  });

  test('has wildcards of one label, and a fallback behind domains and certificates', async (t) => {
    const { folder, hosts, backend } = await startHosts(t, {
      certificates: [...certificatesFor('own.example.com').certificates, { hosts: ['*'], ...pair() }],
      domains: [{ name: 'domain.example.com', secrets: [], tls: 'passthrough' }],
      inactive: ['off.example.com'],
    });
    await addHost(hosts, '_.example.org', await startNamed(t, folder, 'wild'));
    await addHost(hosts, 'www.example.org', await startNamed(t, folder, 'exact'));
    await addHost(hosts, 'domain.example.com', await startNamed(t, folder, 'never'));
    await addHost(hosts, '_', await startNamed(t, folder, 'fallback'));
    assert.equal(await reached(backend, 'www.example.org'), 'exact');
    assert.equal(await reached(backend, 'a.example.org'), 'wild');
    assert.equal(await reached(backend, 'a.b.example.org'), 'fallback');
    assert.equal(await reached(backend, 'localhost'), 'fallback');
    assert.equal(await alertToName(backend.frontDoor, 'domain.example.com'), 112, 'a domain comes first');
    for (const name of ['own.example.com', 'off.example.com']) {
      const visitor = await connectPeer(backend.frontDoor, { tls: true, servername: name });
      visitor.close();
    }
  });

  test('may hide the names behind hashes', async (t) => {
    const { folder, hosts, backend } = await startHosts(t, certificatesFor('other.example.com'), true);
    await addHost(hosts, 'ceA51lG1FUJ-gCIICYcmzOsjls2JmL6BBz5LAHROpe0', await startNamed(t, folder, 'one'));
    await addHost(hosts, `_.${hashedName('example.org')}`, await startNamed(t, folder, 'wild'));
    await addHost(hosts, 'plain.example', await startNamed(t, folder, 'never'));
    assert.equal(await reached(backend, 'EXAMPLE.com'), 'one');
    assert.equal(await reached(backend, 'a.example.org'), 'wild');
    assert.equal(await alertToName(backend.frontDoor, 'plain.example'), 112);
  });

  test('has a PROXY line in front where `send-proxy-v1` asks for one, and only there', async (t) => {
    const { folder, hosts, backend } = await startHosts(t);
    const path = join(folder, 'socket');
    const target = await startRawTarget({ path });
    t.after(() => target.close());
    await addHost(hosts, 'www.example.org', path);
    const bytes = hello({ serverName: 'www.example.org' });
    for (const line of [true, false]) {
      if (line) await writeFile(join(hosts, 'www.example.org', 'send-proxy-v1'), '');
      else await rm(join(hosts, 'www.example.org', 'send-proxy-v1'));
      const visitor = await connectPeer(backend.frontDoor);
      visitor.stream.end(bytes);
      const peer = await target.next();
      await within('the end', peer.ending);
      const { localPort } = visitor.raw;
      const wanted = line ? `PROXY TCP4 127.0.0.1 127.0.0.1 ${localPort} ${backend.frontDoor}\r\n` : '';
      assert.ok(peer.bytes.equals(Buffer.concat([Buffer.from(wanted), bytes])), peer.text.slice(0, 80));
      peer.fin();
      await within('the end', visitor.ending);
    }
  });

  test('is taken over, changed and given up live', async (t) => {
    const { folder, hosts, backend } = await startHosts(t, { sni: null, ...certificatesFor('other.example.com') });
    await addHost(hosts, 'www.example.org', await startNamed(t, folder, 'one'));
    await addHost(hosts, hashedName('www.example.org'), await startNamed(t, folder, 'two'));
    const { server, options, frontDoor } = backend;
    assert.equal(await alertToName(frontDoor, 'www.example.org'), 112);
    const applied = await server.apply({ ...options, sni: { hosts } });
    assert.deepEqual(applied, { changes: [{ what: 'option', key: 'sni' }], restartRequired: [], failures: [] });
    assert.equal(await reached(backend, 'www.example.org'), 'one');
    await server.apply({ ...options, sni: { hosts, hashed: true } });
    assert.equal(await reached(backend, 'www.example.org'), 'two');
    await server.apply(options);
    assert.equal(await alertToName(frontDoor, 'www.example.org'), 112);
  });
});

function pair() {
  const { cert, key } = testCertificate();
  return { cert, key };
}

function certificatesFor(name: string) {
  const { cert, key } = issueCertificate([`DNS:${name}`]);
  return { certificates: [{ hosts: [name], cert, key }] };
}
