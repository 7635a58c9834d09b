import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import type { AgentDomainOptions, DomainOptions, TargetAddress } from '../../src/index.ts';
import { startEchoTarget } from '../support/echo-target.ts';
import { hear } from '../support/hear.ts';
import { steadyPort } from '../support/steady-port.ts';
import { testDomain, withAgent } from '../support/with-agent.ts';
import { startServer, type TestServer, withServer } from '../support/with-server.ts';

const SECRET = new Secret('a secret of enough bytes');
const ANY_PORT = { ports: [{ first: 1, last: 65_535 }] };

function domain(given: Partial<DomainOptions> = {}): DomainOptions {
  return { name: 'www.test', secrets: [SECRET], grants: ANY_PORT, ...given };
}

function claiming(server: TestServer, port: number, given: Partial<AgentDomainOptions> = {}) {
  return testDomain({ remote: [`127.0.0.1:${server.port}`], claims: [port], ...given });
}

async function target(t: TestContext, name: string): Promise<TargetAddress> {
  const { address, close } = await startEchoTarget(name);
  t.after(close);
  return address;
}

async function untilHeard(port: number, wanted: string | null): Promise<void> {
  const given = AbortSignal.timeout(60_000);
  while ((await hear(port)) !== wanted) {
    given.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('a port that an agent claims under a grant leads to its target, for as long as it has a tunnel', async (t) => {
  const service = await target(t, 'service');
  const port = await steadyPort();
  await withServer({ domains: [domain()] }, async (server) => {
    await withAgent({ domains: [claiming(server, port, { target: service })] }, {}, async (_agent, events) => {
      await events.wait('port-opened');
      assert.equal(await hear(port), 'service');
    });
    await untilHeard(port, null);
  });
});

test('a claim is repeated when the server was gone', async (t) => {
  const service = await target(t, 'service');
  const port = await steadyPort();
  const first = await startServer({ domains: [domain()] });
  await withAgent({ domains: [claiming(first, port, { target: service })] }, {}, async (_agent, events) => {
    await events.wait('port-opened');
    await first.close();
    const second = await startServer({ domains: [domain()] }, first.port);
    t.after(() => second.close());
    await untilHeard(port, 'service');
  });
});

test('a port without a grant is refused, and the log of the server says which is missing', async () => {
  const port = await steadyPort();
  await withServer({ domains: [domain({ grants: { ports: [{ first: 1, last: 2 }] } })] }, async (server) => {
    await withAgent({ domains: [claiming(server, port)] }, {}, async (_agent, events) => {
      const refused = await events.wait('port-refused');
      assert.equal(refused.reason, 'port-refused');
      const told = await server.events.wait('port-refused');
      assert.match(told.detail, new RegExp(`no grant of \`ports\` allows ${port} to domain www\\.test`));
      assert.equal(await hear(port), null);
    });
  });
});

test('a second agent that claims the same port is told who has it, and gets it once the first is gone', async (t) => {
  const service = await target(t, 'service');
  const port = await steadyPort();
  const domains = [domain(), domain({ name: 'other.test' })];
  await withServer({ domains }, async (server) => {
    await withAgent({ domains: [claiming(server, port)] }, {}, async (first, events) => {
      await events.wait('port-opened');
      const other = claiming(server, port, { name: 'other.test', instance: 'two', target: service });
      await withAgent({ domains: [other] }, {}, async (_agent, seen) => {
        const refused = await seen.wait('port-refused');
        assert.equal(refused.reason, 'port-taken');
        assert.match(refused.detail, /taken by www\.test \(instance one\)/);
        await first.close({ drainMs: 0 });
        await untilHeard(port, 'service');
      });
    });
  });
});

test('a grant that is taken away closes the port and resets its visitors', async (t) => {
  const service = await target(t, 'service');
  const port = await steadyPort();
  await withServer({ domains: [domain()] }, async (server) => {
    await withAgent({ domains: [claiming(server, port, { target: service })] }, {}, async (_agent, events) => {
      await events.wait('port-opened');
      const visitor = net.connect({ port, host: '127.0.0.1' });
      await once(visitor, 'data');
      const cut = once(visitor, 'error');
      await server.apply({ domains: [domain({ grants: {} })] });
      const [error] = (await cut) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNRESET');
      await untilHeard(port, null);
    });
  });
});

test('the claim of a port that a domain listens on is refused in its name', async () => {
  const port = await steadyPort();
  const listening = domain({ name: 'db.test', listen: [{ host: '127.0.0.1', port }] });
  await withServer({ domains: [domain(), listening] }, async (server) => {
    await withAgent({ domains: [claiming(server, port)] }, {}, async (_agent, events) => {
      const refused = await events.wait('port-refused');
      assert.match(refused.detail, /taken by db\.test/);
    });
  });
});
