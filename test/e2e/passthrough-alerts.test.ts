import assert from 'node:assert/strict';
import { chmod, link, mkdir, symlink, writeFile } from 'node:fs/promises';
import * as net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { Secret } from '../../src/index.ts';
import { alertTo, alertToName } from '../support/alert.ts';
import { type BackendServer, startBackendServer } from '../support/backend-server.ts';
import { issueCertificate } from '../support/certificates.ts';
import { hello, helloMessage, records, serverNameData, vector } from '../support/client-hello.ts';
import { listenOn } from '../support/listen-on.ts';
import { connectPeer, startRawTarget } from '../support/raw-target.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { withFolder } from '../support/with-folder.ts';
import { DOMAIN, openTunnel, type Tunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

const PASSTHROUGH = { tls: 'passthrough' } as const;
const ONE_NAME = serverNameData(DOMAIN).subarray(2);
const TWO_NAMES = vector(2, ONE_NAME, ONE_NAME);
const NOWHERE = { address: '192.0.2.0', prefix: 24 };

function certificateOf(name: string) {
  const { cert, key } = issueCertificate([`DNS:${name}`]);
  return { certificates: [{ hosts: [name], cert, key }] };
}

/** A port where nobody listens. */
async function deadPort(): Promise<number> {
  const server = net.createServer();
  const port = await listenOn(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('a server that ends no TLS for a name answers with alert', () => {
  let backend: BackendServer;
  before(async () => {
    const port = await deadPort();
    const target = { host: '127.0.0.1', port };
    const hidden = { ...PASSTHROUGH, secrets: [], target };
    backend = await startBackendServer(null, {
      ...certificateOf('own.example.com'),
      domains: [
        { name: 'unserved.example.com', ...PASSTHROUGH, secrets: [new Secret('a secret of enough bytes')] },
        { name: 'dead.example.com', ...PASSTHROUGH, secrets: [], target },
        { name: 'no-path.example.com', ...PASSTHROUGH, secrets: [], target: { path: '/nonexistent/socket' } },
        { name: 'networks.example.com', ...hidden, clients: { networks: [NOWHERE] } },
        { name: 'ranges.example.com', ...hidden, clients: { ranges: ['-2001-01-01'] } },
      ],
      inactive: ['off.example.com'],
      readTimeoutMs: 300,
    });
  });
  after(() => backend.close());

  const message = helloMessage({ serverName: DOMAIN });
  const alerts: readonly (readonly [alert: number, what: string, bytes: Buffer])[] = [
    [10, 'bytes that are no handshake', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    [10, 'a message that is no ClientHello', records(Buffer.concat([Buffer.of(2), message.subarray(1)]))],
    [22, 'a record of 16,385 bytes', Buffer.of(22, 3, 1, 0x40, 0x01)],
    [50, 'a hello of 64 kB and a byte', hello({ serverName: DOMAIN, bodyBytes: 65_537 })],
    [50, 'two names', hello({ extensions: [{ type: 0, data: TWO_NAMES }] })],
    [90, 'half a hello past the deadline', hello({ serverName: DOMAIN }).subarray(0, 80)],
    [112, 'no SNI', hello()],
    [112, 'an unknown name', hello({ serverName: 'www.example.org' })],
    [112, 'an inactive domain', hello({ serverName: 'off.example.com' })],
    [112, 'two dots', hello({ serverName: '..' })],
    [112, 'a path', hello({ serverName: 'a/b' })],
    [112, 'a parent folder', hello({ serverName: '../dead.example.com' })],
    [112, '255 bytes', hello({ serverName: `${'a.'.repeat(127)}a` })],
    [112, 'a trailing dot', hello({ serverName: 'dead.example.com.' })],
    [112, 'an IPv4 literal', hello({ serverName: '127.0.0.1' })],
    [112, 'an underscore', hello({ serverName: '_.example.com' })],
    [112, 'a domain that nobody serves', hello({ serverName: 'unserved.example.com' })],
    [112, 'a target beside the server where nobody listens', hello({ serverName: 'dead.example.com' })],
    [112, 'a Unix socket that is not there', hello({ serverName: 'no-path.example.com' })],
    [112, 'a domain that the visitor may not know of', hello({ serverName: 'networks.example.com' })],
    [112, 'a domain at another time', hello({ serverName: 'ranges.example.com' })],
  ];
  for (const [alert, what, bytes] of alerts) {
    test(
      `${alert} to ${what}`,
      undisturbed(async () => assert.equal(await alertTo(backend.frontDoor, bytes), alert)),
    );
  }

  test(
    'and the log tells why, once',
    undisturbed(async () => {
      const reasons: Readonly<Record<string, string>> = {
        'unserved.example.com': 'domain-unserved',
        'dead.example.com': 'target-refused',
        'no-path.example.com': 'target-unreachable',
        'networks.example.com': 'network-refused',
        'ranges.example.com': 'time-refused',
      };
      for (const [name, reason] of Object.entries(reasons)) {
        const before = backend.events.of('access').length;
        const from = backend.events.all.length;
        await alertToName(backend.frontDoor, name);
        const isOfName = ({ record: { domain } }: { record: { domain: string | null } }) => domain === name;
        const { record } = await backend.events.wait('access', isOfName, { from });
        assert.deepEqual([record.way, record.reason], ['tls', reason]);
        assert.equal(backend.events.of('access').length, before + 1);
      }
    }),
  );
});

test('where `*` answers names of nobody, it answers for a domain that the visitor may not know of, too', async (t) => {
  const target = { host: '127.0.0.1', port: 1 };
  const hidden = { ...PASSTHROUGH, secrets: [], target, clients: { networks: [NOWHERE] } };
  const backend = await startBackendServer(null, { domains: [{ name: 'hidden.example.com', ...hidden }] });
  t.after(() => backend.close());
  const answers = new Set<string>();
  for (const name of ['hidden.example.com', 'unknown.example.com']) {
    const visitor = await connectPeer(backend.frontDoor, { tls: true, servername: name });
    await visitor.send(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
    const answer = await visitor.receivedText('404 Not Found\n');
    answers.add(answer.replace(/^(date|x-transaction-id): .*\r\n/gim, ''));
    visitor.close();
  }
  assert.equal(answers.size, 1, [...answers].join('\n'));
  assert.deepEqual(
    backend.events.of('access').map(({ record }) => record.reason),
    ['network-refused', 'domain-unknown'],
  );
});

test('a mutated hello is passed on as it is or ends with an alert, before the deadline, and harms nobody', async (t) => {
  const target = await startRawTarget({ onPeer: (peer) => peer.fin() });
  t.after(() => target.close());
  const backend = await startBackendServer(
    { ...PASSTHROUGH, target: { host: '127.0.0.1', port: target.port } },
    { ...certificateOf('own.example.com'), readTimeoutMs: 500 },
  );
  t.after(() => backend.close());
  const valid = records(helloMessage({ serverName: DOMAIN, alpn: ['h2'] }), 100);
  const mutation = fc.record({ at: fc.nat(), value: fc.nat(255), kind: fc.constantFrom('set', 'drop', 'insert') });
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
      const bytes = [...valid];
      for (const { at, value, kind } of mutations)
        bytes.splice(at % bytes.length, kind === 'insert' ? 0 : 1, ...(kind === 'drop' ? [] : [value]));
      const visitor = await connectPeer(backend.frontDoor);
      visitor.stream.write(Buffer.from(bytes), () => {});
      const { verdict } = await within('the end', visitor.ending);
      assert.equal(verdict, 'clean');
      assert.ok(visitor.length === 0 || visitor.bytes.subarray(0, 6).equals(Buffer.of(21, 3, 3, 0, 2, 2)));
      visitor.close();
    }),
    { numRuns: 150 },
  );
  assert.ok(target.peers.length > 0, 'some of them still were hellos');
  assert.equal(await alertToName(backend.frontDoor, 'unknown.example'), 112);
});

describe('with agents', () => {
  let tunnel: Tunnel;
  before(async () => {
    tunnel = await openTunnel({ target: await deadPort(), domain: { ...PASSTHROUGH, concurrency: 1 } });
  });
  after(() => tunnel.close());

  test('the alert is 80 where the target of an agent fails: the domain is there', async () => {
    assert.equal(await alertToName(tunnel.frontDoor, DOMAIN), 80);
    const { record } = await tunnel.serverEvents.wait('access');
    assert.deepEqual([record.reason, record.status], ['target-refused', 502]);
  });

  test('it is 112 once the last one is gone', async () => {
    await tunnel.agent.close({ drainMs: 0 });
    await tunnel.serverEvents.wait('tunnel-closed');
    assert.equal(await alertToName(tunnel.frontDoor, DOMAIN), 112);
  });
});

test('a host whose socket is missing, dead, unreadable or no socket is none: alert 112, whatever `*` would answer', () =>
  withFolder({}, async (folder) => {
    const hosts = join(folder, 'hosts');
    for (const name of ['missing', 'dead', 'locked', 'file', 'loop'])
      await mkdir(join(hosts, name), { recursive: true });
    await symlink(join(folder, 'gone'), join(hosts, 'missing', 'tls-socket'));
    await symlink('tls-socket', join(hosts, 'loop', 'tls-socket'));
    await symlink(join(folder, 'gone'), join(hosts, 'dangling'));
    await writeFile(join(hosts, 'file', 'tls-socket'), '');
    await writeFile(join(hosts, 'plain'), '');
    // A socket that its process left behind: closing removes the file, so another name keeps it.
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve));
    await link(join(folder, 'socket'), join(hosts, 'dead', 'tls-socket'));
    await new Promise((resolve) => server.close(resolve));
    await chmod(join(hosts, 'locked'), 0);
    const backend = await startBackendServer(null, { sni: { hosts } });
    try {
      for (const name of ['missing', 'dead', 'locked', 'file', 'loop', 'dangling', 'plain'])
        assert.equal(await alertToName(backend.frontDoor, name), 112, name);
      const records = backend.events.of('access').map(({ record }) => record);
      assert.deepEqual(
        records.map(({ way, domain, instance }) => [way, domain, instance]),
        ['missing', 'dead', 'locked', 'file', 'loop', 'dangling', 'plain'].map((name) => ['tls', name, null]),
      );
      assert.ok(records.every(({ reason }) => reason === 'target-refused' || reason === 'target-unreachable'));
    } finally {
      await chmod(join(hosts, 'locked'), 0o700);
      await backend.close();
    }
  }));
