import assert from 'node:assert/strict';
import * as http from 'node:http';
import { describe, type TestContext, test } from 'node:test';
import { type DomainOptions, Secret } from '../../src/index.ts';
import { type BackendServer, startBackendServer } from '../support/backend-server.ts';
import { testAuthority } from '../support/certificates.ts';
import { hello } from '../support/client-hello.ts';
import { visit } from '../support/curl.ts';
import { listenOn } from '../support/listen-on.ts';
import { connectPeer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { missingTools } from '../support/tools.ts';
import { agreeToUpgrade, askForUpgrade, readSwitch } from '../support/upgrade.ts';
import { DOMAIN, SECRET, withTunnel } from '../support/with-tunnel.ts';
import { within } from '../support/within.ts';

const CURL = { skip: missingTools('curl') };
const LISTEN = [{ host: '127.0.0.1', port: 0 }];

/** An HTTP service that says its name, who its visitor is, and by which connection it came. */
async function startService(t: TestContext, name: string): Promise<number> {
  const ports = new Set<number | undefined>();
  const server = http.createServer((request, response) => {
    ports.add(request.socket.remotePort);
    const { 'x-forwarded-for': from, host } = request.headers;
    response.end(`${name} ${request.method} ${request.url} ${host} ${from} ${ports.size}`);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return listenOn(server);
}

async function startRaw(t: TestContext): Promise<RawTarget> {
  const target = await startRawTarget();
  t.after(() => target.close());
  return target;
}

async function start(t: TestContext, domain: Partial<DomainOptions>): Promise<BackendServer> {
  const backend = await startBackendServer(domain);
  t.after(() => backend.close());
  return backend;
}

const to = (port: number) => ({ host: '127.0.0.1', port });
const get = (port: number, path: string, flags: readonly string[] = []) =>
  visit(DOMAIN, port, path, ['--cacert', testAuthority().certFile, ...flags]);

describe('a target beside the server', () => {
  test('is reached over HTTPS, without an agent, by kept connections', CURL, async (t) => {
    const { frontDoor, events } = await start(t, { target: to(await startService(t, 'service')) });
    for (const version of ['--http1.1', '--http2']) {
      const answer = await get(frontDoor, '/a/../b//c?d=%2525', ['--path-as-is', version]);
      assert.equal(answer, `service GET /a/../b//c?d=%2525 ${DOMAIN}:${frontDoor} 127.0.0.1 1`);
    }
    const { record } = await events.wait('access');
    const { way, domain, instance, status, reason } = record;
    assert.deepEqual(
      { way, domain, instance, status, reason },
      { way: 'https', domain: DOMAIN, instance: null, status: 200, reason: 'done' },
    );
  });

  test('switches protocols with its visitors', async (t) => {
    const target = await startRaw(t);
    const { frontDoor } = await start(t, { target: to(target.port) });
    const visitor = await connectPeer(frontDoor, { tls: true });
    await askForUpgrade(visitor);
    const peer = await target.next();
    await agreeToUpgrade(peer, 'first words');
    await readSwitch(visitor);
    await visitor.received('first words'.length);
    assert.equal(visitor.text, 'first words');
    await visitor.send('answer');
    visitor.fin();
    await within('the end', peer.ending);
    assert.equal(peer.text, 'answer');
    peer.close();
    visitor.close();
  });

  test('that does not answer is a 502 that says so', CURL, async (t) => {
    const { frontDoor } = await start(t, { target: { path: '/nonexistent/socket' } });
    const answer = await get(frontDoor, '/', ['--include']);
    assert.match(answer, /^HTTP\/2 502 /);
    assert.match(answer, /proxy-status: server\.test; error=destination_ip_unroutable; details="target-unreachable"/i);
  });

  test('is dialled by the library, and gets what its TCP port gets', async (t) => {
    const target = await startRaw(t);
    const { server } = await start(t, { target: to(target.port), listen: LISTEN });
    const stream = await server.dial(DOMAIN);
    stream.end('hello');
    const peer = await target.next();
    await within('the end', peer.ending);
    assert.equal(peer.text, 'hello');
    stream.destroy();
  });

  test('lets no agent in, for there is no secret that it could show', CURL, async (t) => {
    const { frontDoor, events } = await start(t, { target: to(await startService(t, 'service')) });
    const handshake = ['-H', 'Connection: Upgrade', '-H', 'Upgrade: ptth', '-H', 'ALPN: h2', '--http1.1'];
    const secret = ['-H', 'Authorization: Bearer x', '-H', `Backdial-Domain: ${DOMAIN}`, '-H', 'Backdial-Instance: a'];
    await get(frontDoor, '/.well-known/backdial-agent', [...handshake, '-H', 'Backdial-Slot: 0', ...secret]);
    assert.equal((await events.wait('handshake-refused')).reason, 'secret-wrong');
  });
});

describe('a PROXY header tells the target who its visitor is', () => {
  for (const version of [1, 2] as const) {
    test(`on its TCP port and in front of TLS that passes through (version ${version})`, async (t) => {
      const target = await startRaw(t);
      const options = { target: to(target.port), proxyProtocol: version, listen: LISTEN, tls: 'passthrough' } as const;
      const { frontDoor, tcp } = await start(t, options);
      for (const port of [frontDoor, tcp]) {
        const bytes = hello({ serverName: DOMAIN });
        const visitor = await connectPeer(port);
        visitor.stream.end(bytes);
        const peer = await target.next();
        await within('the end', peer.ending);
        const { localPort = 0 } = visitor.raw;
        const text = Buffer.from(`PROXY TCP4 127.0.0.1 127.0.0.1 ${localPort} ${port}\r\n`);
        const binary = Buffer.concat([
          Buffer.from('0d0a0d0a000d0a515549540a2111000c7f0000017f000001', 'hex'),
          Buffer.of(localPort >> 8, localPort & 0xff, port >> 8, port & 0xff),
        ]);
        assert.deepEqual(peer.bytes, Buffer.concat([version === 1 ? text : binary, bytes]));
        visitor.close();
      }
    });
  }

  test('and no connection serves two of them over HTTPS', CURL, async (t) => {
    const target = await startRaw(t);
    const { frontDoor } = await start(t, { target: to(target.port), proxyProtocol: 1 });
    const sources: string[] = [];
    for (const round of [1, 2]) {
      const answer = get(frontDoor, `/${round}`, ['--http1.1', `https://${DOMAIN}:${frontDoor}/${round}/again`]);
      const peer = await target.next();
      sources.push(await peer.receivedText('\r\n'));
      for (const [path, body] of [
        [`/${round}/again`, 'x'],
        [`/${round}`, 'y'],
      ] as const) {
        await peer.receivedText(`GET ${path} HTTP/1.1\r\n`);
        await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${body}`);
      }
      assert.equal(await answer, 'xy');
    }
    assert.equal(target.peers.length, 2);
    for (const source of sources)
      assert.match(source, new RegExp(`^PROXY TCP4 127\\.0\\.0\\.1 127\\.0\\.0\\.1 \\d+ ${frontDoor}$`));
    assert.notEqual(sources[0], sources[1]);
  });
});

describe('where a domain has agents and a target beside the server', () => {
  test('agents come first; the target takes what comes while there are none', CURL, async (t) => {
    const beside = await startService(t, 'beside');
    const options = { target: await startService(t, 'agent'), domain: { target: to(beside) } };
    await withTunnel(options, async ({ frontDoor, agent, serverEvents }) => {
      assert.match(await get(frontDoor, '/'), /^agent /);
      await agent.close({ drainMs: 0 });
      await serverEvents.wait('tunnel-closed');
      assert.match(await get(frontDoor, '/'), /^beside /);
    });
  });

  test('what the target of an agent refuses goes to it', async (t) => {
    const beside = await startRaw(t);
    const dead = await startRawTarget();
    await dead.close();
    await withTunnel({ target: dead.port, domain: { target: to(beside.port) } }, async ({ tcp }) => {
      const visitor = await connectPeer(tcp);
      await visitor.send('hello');
      const peer = await beside.next();
      await peer.received(5);
      visitor.close();
    });
  });
});

describe('a Host whose TLS passes through is no matter of a connection whose TLS was ended', () => {
  test('421, unless the visitor may not know of it, or nobody serves it', CURL, async (t) => {
    const target = to(await startService(t, 'service'));
    const passing = { secrets: [], tls: 'passthrough', target } as const;
    const backend = await startBackendServer(null, {
      domains: [
        { name: DOMAIN, secrets: [], target },
        { name: 'passing.example.com', ...passing },
        { name: 'hidden.example.com', ...passing, clients: { networks: [{ address: '192.0.2.0', prefix: 24 }] } },
        { name: 'unserved.example.com', ...passing, target: null, secrets: [new Secret(SECRET)] },
      ],
    });
    t.after(() => backend.close());
    const statusOf = async (host: string) => {
      const flags = ['--output', '/dev/null', '--write-out', '%{http_code}', '-H', `Host: ${host}`];
      return get(backend.frontDoor, '/', flags);
    };
    assert.equal(await statusOf(DOMAIN), '200');
    assert.equal(await statusOf('passing.example.com'), '421');
    assert.equal(await statusOf('hidden.example.com'), '404');
    assert.equal(await statusOf('unserved.example.com'), '404');
    assert.equal(await statusOf('unknown.example.com'), '404');
  });
});
