import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import tls from 'node:tls';
import { createAgent } from '../../src/index.ts';
import { testAuthority } from '../support/certificates.ts';
import { ConnectProxy, type ConnectProxyOptions } from '../support/connect-proxy.ts';
import { greetingOf, startEchoTarget } from '../support/echo-target.ts';
import { EventLog } from '../support/event-log.ts';
import { testDomain } from '../support/with-agent.ts';
import { type TestServer, withServer } from '../support/with-server.ts';
import { within } from '../support/within.ts';

async function withProxy(
  options: ConnectProxyOptions,
  body: (proxy: ConnectProxy, server: TestServer) => Promise<void>,
): Promise<void> {
  const proxy = new ConnectProxy(options);
  await proxy.listen();
  try {
    await withServer({}, (server) => body(proxy, server));
  } finally {
    proxy.close();
  }
}

/** Dials `remote` with that environment; a stream through the tunnel must work. */
async function expectTunnel(server: TestServer, remote: string, environment: Record<string, string>): Promise<void> {
  const target = await startEchoTarget('hello');
  const domain = testDomain({ remote: [remote], target: target.address });
  const agent = createAgent({ domains: [domain], proxyEnvironment: environment });
  try {
    agent.start();
    await within('ready', agent.ready);
    const stream = await server.server.dial('www.test');
    assert.equal(await greetingOf(stream), 'hello');
    stream.end();
  } finally {
    await agent.close({ drainMs: 0 });
    target.close();
  }
}

describe('HTTPS_PROXY', () => {
  test('the tunnel goes through it; the name is resolved there', () =>
    withProxy({ hosts: { 'only-there.example.com': '127.0.0.1' } }, async (proxy, server) => {
      const remote = `only-there.example.com:${server.port}`;
      await expectTunnel(server, remote, { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` });
      assert.deepEqual(proxy.asked, [remote]);
    }));

  test('Basic credentials come from its URL; wrong ones are told, never shown', () =>
    withProxy({ credentials: 'me:sésame' }, async (proxy, server) => {
      const remote = `localhost:${server.port}`;
      await expectTunnel(server, remote, { HTTPS_PROXY: `http://me:s%C3%A9same@127.0.0.1:${proxy.port}` });
      const events = new EventLog();
      const agent = createAgent({
        domains: [testDomain({ remote: [remote] })],
        proxyEnvironment: { HTTPS_PROXY: `http://me:knockknock@127.0.0.1:${proxy.port}` },
        observer: events.observer,
      });
      try {
        agent.start();
        const [failed] = await events.until('dial-failed');
        assert.equal(failed?.reason, 'proxy-refused');
        assert.match(failed?.detail ?? '', /with 407; give login:password/);
        assert.ok(!failed?.detail.includes('knockknock'));
      } finally {
        await agent.close({ drainMs: 0 });
      }
    }));

  test('an https:// proxy is spoken to under TLS', () =>
    withProxy({ secure: true }, async (proxy, server) => {
      const before = tls.getCACertificates('default');
      tls.setDefaultCACertificates([...before, testAuthority().cert]);
      try {
        const environment = { HTTPS_PROXY: `https://localhost:${proxy.port}` };
        await expectTunnel(server, `localhost:${server.port}`, environment);
        assert.equal(proxy.asked.length, 1);
      } finally {
        tls.setDefaultCACertificates(before);
      }
    }));

  test('NO_PROXY keeps a server off it', () =>
    withProxy({}, async (proxy, server) => {
      const environment = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`, NO_PROXY: 'localhost' };
      await expectTunnel(server, `localhost:${server.port}`, environment);
      assert.deepEqual(proxy.asked, []);
    }));
});
