import assert from 'node:assert/strict';
import * as net from 'node:net';
import { describe, it } from 'node:test';
import { createAgent, Secret } from '../../src/index.ts';
import { type AccessKit, withAccess } from '../support/access.ts';
import { testAuthority } from '../support/certificates.ts';
import { within } from '../support/within.ts';

const NEVER = '2000-01-01';
const ALWAYS = '2000-01-02-';

/** The byte stream that a TCP visitor from `localAddress` gets: its first bytes, or the code of its error. */
async function visitTcp(port: number, localAddress: string): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1', localAddress });
  socket.on('connect', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
  const { promise: outcome, resolve } = Promise.withResolvers<string>();
  socket.on('data', (chunk) => resolve(String(chunk).slice(0, 15)));
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  return within('an answer', outcome).finally(() => socket.destroy());
}

/** The first record of a visit to the domain that was refused. */
async function refusal({ events }: AccessKit, domain: string) {
  return (await events.wait('access', ({ record }) => record.domain === domain && record.reason !== 'done')).record;
}

describe('visitors', () => {
  const domains = {
    'open.example.com': '',
    'second.example.com': 'clients: { networks: ["127.0.0.2", "10.0.0.0/8"] }',
    'now.example.com': `clients: { ranges: ["${NEVER}", "${ALWAYS}"] }`,
    'never.example.com': `clients: { ranges: ["${NEVER} 00:00-"] }`,
    'db.example.com': 'listen: "127.0.0.1:0", clients: { networks: "127.0.0.2" }',
    'night.example.com': `listen: "127.0.0.1:0", clients: { ranges: "${NEVER}" }`,
  };

  it('come from the networks of the domain, when its ranges hold; others find nothing there', async () => {
    await withAccess({ domains }, async (kit) => {
      const visit = async (host: string, from: string) => (await kit.curl(host, '/', '--interface', from)).status;
      for (const http of ['--http1.1', '--http2']) {
        assert.equal((await kit.curl('second.example.com', '/', http, '--interface', '127.0.0.2')).status, 200);
        assert.equal((await kit.curl('second.example.com', '/', http, '--interface', '127.0.0.1')).status, 404);
      }
      assert.equal(await visit('open.example.com', '127.0.0.1'), 200);
      assert.equal(await visit('now.example.com', '127.0.0.1'), 200);
      assert.equal(await visit('never.example.com', '127.0.0.1'), 404);
    });
  });

  it('are recorded with the true reason and status', async () => {
    await withAccess({ domains }, async (kit) => {
      await kit.curl('second.example.com', '/secret');
      const byNetwork = await refusal(kit, 'second.example.com');
      assert.deepEqual([byNetwork.reason, byNetwork.status, byNetwork.path], ['network-refused', 403, '/secret']);
      await kit.curl('never.example.com', '/');
      const byTime = await refusal(kit, 'never.example.com');
      assert.deepEqual([byTime.reason, byTime.status], ['time-refused', 403]);
      assert.deepEqual(kit.seen, []);
    });
  });

  it('of TCP ports are held to the same, and reset', async () => {
    await withAccess({ domains }, async (kit) => {
      const [db, night] = [kit.tcp.get('db.example.com') ?? 0, kit.tcp.get('night.example.com') ?? 0];
      assert.equal(await visitTcp(db, '127.0.0.2'), 'HTTP/1.1 200 OK');
      assert.equal(await visitTcp(db, '127.0.0.1'), 'ECONNRESET');
      assert.equal((await refusal(kit, 'db.example.com')).reason, 'network-refused');
      assert.equal(await visitTcp(night, '127.0.0.2'), 'ECONNRESET');
      assert.equal((await refusal(kit, 'night.example.com')).reason, 'time-refused');
    });
  });
});

describe('agents', () => {
  it('come from the networks of the domain; others are refused as with a wrong secret', async () => {
    const domains = { 'here.example.com': 'networks: "127.0.0.0/8"', 'there.example.com': 'networks: "192.0.2.0/24"' };
    await withAccess({ domains, unserved: ['there.example.com'] }, async ({ events, port, curl }) => {
      assert.equal((await curl('here.example.com', '/')).status, 200);
      const agent = createAgent({
        domains: [
          {
            name: 'there.example.com',
            secret: new Secret('a secret of the tests, made for nothing else'),
            remote: [`127.0.0.1:${port}`],
            ca: testAuthority().cert,
            target: { kind: 'tcp', host: '127.0.0.1', port: 9 },
          },
        ],
      });
      agent.start();
      try {
        const refused = await events.wait('handshake-refused', ({ domain }) => domain === 'there.example.com');
        assert.equal(refused.reason, 'network-refused');
        assert.match(refused.detail, /127\.0\.0\.1/);
        assert.equal((await curl('there.example.com', '/')).status, 404);
      } finally {
        await agent.close({ drainMs: 0 });
      }
    });
  });
});
