import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Secret } from '../../src/index.ts';
import { startBackendServer } from '../support/backend-server.ts';
import { hello, helloMessage, records } from '../support/client-hello.ts';
import { connectPeer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { DOMAIN, openTunnel, SECRET, type Tunnel, withTunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

const PASSTHROUGH = { tls: 'passthrough' } as const;

describe('what a visitor of a passthrough domain sends', () => {
  let target: RawTarget;
  let tunnel: Tunnel;
  before(async () => {
    target = await startRawTarget();
    tunnel = await openTunnel({ target: target.port, domain: PASSTHROUGH });
  });
  after(async () => {
    await tunnel?.close();
    await target.close();
  });

  const message = helloMessage({ serverName: DOMAIN });
  const inName = message.indexOf('example') + 3;
  const sizes = [5_000, 60_000, 65_536].map((bodyBytes): [string, Buffer] => {
    return [`a hello of ${bodyBytes} bytes`, hello({ serverName: DOMAIN, bodyBytes })];
  });
  const hellos: readonly (readonly [what: string, bytes: Buffer])[] = [
    ['a hello', hello({ serverName: DOMAIN })],
    ['a hello in records of one byte', records(message, 1)],
    [
      'a hello with the end of a record inside the name',
      Buffer.concat([records(message.subarray(0, inName)), records(message.subarray(inName))]),
    ],
    ['a name in capitals', hello({ serverName: 'WWW.Example.COM' })],
    ['the ALPN of an ACME challenge', hello({ serverName: DOMAIN, alpn: ['acme-tls/1'] })],
    ['GREASE', hello({ serverName: DOMAIN, extensions: [{ type: 0x1a1a, data: Buffer.of(0) }], alpn: ['\xea\xea'] })],
    ...sizes,
  ];
  for (const [what, bytes] of hellos) {
    test(`reaches the target byte for byte, with what came behind it: ${what}`, async () => {
      const sent = Buffer.concat([bytes, Buffer.from('early data')]);
      const visitor = await connectPeer(tunnel.frontDoor);
      visitor.stream.end(sent);
      const peer = await target.next();
      await within('the end', peer.ending);
      assert.ok(peer.bytes.equals(sent), `${peer.length} of ${sent.length} bytes`);
      await peer.send('answer');
      peer.fin();
      await within('the end', visitor.ending);
      assert.equal(visitor.text, 'answer');
    });
  }

  test('reaches the target byte for byte when it comes byte by byte', async () => {
    const bytes = hello({ serverName: DOMAIN });
    const visitor = await connectPeer(tunnel.frontDoor);
    for (const byte of bytes) await visitor.send(Buffer.of(byte));
    const peer = await target.next();
    await peer.received(bytes.length);
    assert.ok(peer.bytes.equals(bytes));
    visitor.close();
  });

  test('is recorded once, as the way tls, every byte counted', async () => {
    const bytes = hello({ serverName: DOMAIN });
    const visitor = await connectPeer(tunnel.frontDoor);
    visitor.stream.end(bytes);
    const peer = await target.next();
    await peer.send('1234567');
    peer.fin();
    await within('the end', visitor.ending);
    const { record } = await tunnel.serverEvents.wait('access', ({ record: { out } }) => out === 7);
    const { way, domain, instance, status, reason, in: bytesIn, remote } = record;
    assert.deepEqual(
      { way, domain, instance, status, reason, bytesIn },
      { way: 'tls', domain: DOMAIN, instance: 'first', status: null, reason: 'done', bytesIn: bytes.length },
    );
    assert.match(remote, /^127\.0\.0\.1:\d+$/);
    const told = await tunnel.agentEvents.wait('access', ({ record: { id } }) => id === record.id);
    assert.deepEqual([told.record.way, told.record.remote], ['tls', remote]);
  });
});

describe('a passthrough domain', () => {
  test('resets its visitor when the agent is lost', async (t) => {
    const target = await startRawTarget();
    t.after(() => target.close());
    await withTunnel({ target: target.port, domain: PASSTHROUGH, link: {} }, async (tunnel) => {
      const visitor = await connectPeer(tunnel.frontDoor);
      visitor.stream.write(hello({ serverName: DOMAIN }));
      const peer = await target.next();
      await peer.send('half an ans');
      await visitor.received(11);
      await tunnel.link.close();
      assert.equal((await within('the end', visitor.ending)).verdict, 'reset');
      visitor.close();
    });
  });

  test("lets a drain wait for its visitors, and resets them at the drain's end", async (t) => {
    const target = await startRawTarget();
    t.after(() => target.close());
    const { server, frontDoor, events } = await startBackendServer({
      ...PASSTHROUGH,
      target: { host: '127.0.0.1', port: target.port },
    });
    const visitor = await connectPeer(frontDoor);
    visitor.stream.write(hello({ serverName: DOMAIN }));
    const peer = await target.next();
    const closed = server.close({ drainMs: 10_000 });
    await peer.send('still here');
    await visitor.received(10);
    await server.close({ drainMs: 0 });
    await within('the close', closed);
    assert.equal((await within('the end', visitor.ending)).verdict, 'reset');
    assert.equal((await within('the end at the target', peer.ending)).verdict, 'reset');
    assert.equal((await events.wait('access')).record.reason, 'tunnel-draining');
  });

  test('by wildcard gets the names under it, and no instance of another domain', async (t) => {
    const target = await startRawTarget();
    t.after(() => target.close());
    const name = 'example.com';
    const listen = [{ host: '127.0.0.1', port: 0 }];
    const domains = [
      { name, secrets: [new Secret(SECRET)], listen },
      { name: `*.${name}`, secrets: [], ...PASSTHROUGH, target: { host: '127.0.0.1', port: target.port } },
    ];
    await withTunnel({ target: 9, server: { domains }, agentDomain: { name } }, async (tunnel) => {
      const visitor = await connectPeer(tunnel.frontDoor);
      visitor.stream.write(hello({ serverName: 'first.example.com' }));
      const peer = await target.next();
      await peer.received(100);
      visitor.reset();
      await within('the end', peer.ending);
      const { record } = await tunnel.serverEvents.wait('access');
      assert.deepEqual([record.domain, record.instance], ['*.example.com', null]);
    });
  });
});
