import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import type { DomainOptions } from '../../src/index.ts';
import { alertToName } from '../support/alert.ts';
import { type BackendServer, startBackendServer } from '../support/backend-server.ts';
import { hello } from '../support/client-hello.ts';
import { connectPeer, type Peer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { DOMAIN } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

const to = (target: RawTarget) => ({ host: '127.0.0.1', port: target.port });

async function startTarget(t: TestContext): Promise<RawTarget> {
  const target = await startRawTarget();
  t.after(() => target.close());
  return target;
}

async function start(t: TestContext, domain: Partial<DomainOptions>): Promise<BackendServer> {
  const backend = await startBackendServer(domain);
  t.after(() => backend.close());
  return backend;
}

/** Goes over to other rules for the domain; what was told to have changed. */
async function change({ server, options }: BackendServer, domain: Partial<DomainOptions> | null): Promise<unknown> {
  const domains = domain === null ? [] : [{ name: DOMAIN, secrets: [], ...domain }];
  const { changes, restartRequired, failures } = await server.apply({ ...options, domains });
  assert.deepEqual([restartRequired, failures], [[], []]);
  return changes;
}

/** A visitor whose hello reached this target. */
async function pass({ frontDoor }: BackendServer, target: RawTarget): Promise<{ visitor: Peer; peer: Peer }> {
  const bytes = hello({ serverName: DOMAIN });
  const visitor = await connectPeer(frontDoor);
  visitor.stream.write(bytes);
  const peer = await target.next();
  await peer.received(bytes.length);
  assert.ok(peer.bytes.equals(bytes));
  return { visitor, peer };
}

/** What a request over TLS that ends at the server is answered. */
async function ask(visitor: Peer): Promise<string> {
  await visitor.send(`GET / HTTP/1.1\r\nHost: ${DOMAIN}\r\n\r\n`);
  const head = await visitor.receivedText('\r\n\r\n');
  visitor.drop(visitor.length);
  return head.split(' ')[1] ?? '';
}

function answering(t: TestContext): Promise<RawTarget> {
  const onPeer = (peer: Peer) => {
    void peer.receivedText('\r\n\r\n').then(() => peer.send('HTTP/1.1 204 No Content\r\n\r\n'));
  };
  return startRawTarget({ onPeer }).then((target) => {
    t.after(() => target.close());
    return target;
  });
}

describe('while the server runs', () => {
  test('a domain goes over to passthrough and back; kept connections are told to come anew', async (t) => {
    const service = await answering(t);
    const target = await startTarget(t);
    const backend = await start(t, { target: to(service) });
    const before = await connectPeer(backend.frontDoor, { tls: true });
    assert.equal(await ask(before), '204');
    const told = await change(backend, { target: to(target), tls: 'passthrough' });
    assert.deepEqual(told, [{ what: 'domain', action: 'changed', name: DOMAIN, keys: ['tls', 'target'] }]);
    assert.equal(await ask(before), '421');
    const { visitor, peer } = await pass(backend, target);
    await change(backend, { target: to(service) });
    const after = await connectPeer(backend.frontDoor, { tls: true });
    assert.equal(await ask(after), '204');
    await peer.send('still here');
    await visitor.received(10);
    for (const each of [before, visitor, after]) each.close();
  });

  test('another target takes what comes from then on; what is open goes on', async (t) => {
    const [first, second] = [await startTarget(t), await startTarget(t)];
    const backend = await start(t, { target: to(first), tls: 'passthrough' });
    const old = await pass(backend, first);
    await change(backend, { target: to(second), tls: 'passthrough' });
    const fresh = await pass(backend, second);
    await old.peer.send('still here');
    await old.visitor.received(10);
    assert.equal(first.peers.length, 1);
    // What is left of the first one is cut with the second when there is none any more.
    await change(backend, { tls: 'passthrough' });
    for (const { visitor, peer } of [old, fresh]) {
      assert.equal((await within('the end', visitor.ending)).verdict, 'reset');
      assert.equal((await within('the end at the target', peer.ending)).verdict, 'reset');
    }
    const reasons = (await backend.events.until('access', 2)).map(({ record }) => record.reason);
    assert.deepEqual(reasons, ['domain-unserved', 'domain-unserved']);
    assert.equal(await alertToName(backend.frontDoor, DOMAIN), 112);
  });

  test('a domain that is taken away cuts what is open, whatever its way in', async (t) => {
    const target = await startTarget(t);
    const backend = await start(t, { target: to(target), tls: 'passthrough' });
    const dialled = await backend.server.dial(DOMAIN);
    const closed = once(dialled, 'close');
    const behind = await target.next();
    const { visitor, peer } = await pass(backend, target);
    assert.deepEqual(await change(backend, null), [{ what: 'domain', action: 'removed', name: DOMAIN }]);
    for (const each of [visitor, peer, behind]) assert.equal((await within('the end', each.ending)).verdict, 'reset');
    await within('the close', closed);
    assert.equal((await backend.events.wait('access')).record.reason, 'domain-unknown');
  });

  test('a PROXY header can be switched on', async (t) => {
    const target = await startTarget(t);
    const backend = await start(t, { target: to(target), tls: 'passthrough' });
    const { visitor } = await pass(backend, target);
    await change(backend, { target: to(target), tls: 'passthrough', proxyProtocol: 1 });
    const next = await connectPeer(backend.frontDoor);
    next.stream.write(hello({ serverName: DOMAIN }));
    assert.match(await (await target.next()).receivedText('\r\n'), /^PROXY TCP4 /);
    visitor.close();
    next.close();
  });
});
