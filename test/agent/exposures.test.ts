import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Agent, type ExposureRequest, Secret } from '../../src/index.ts';
import { startEchoTarget } from '../support/echo-target.ts';
import { hear } from '../support/hear.ts';
import { steadyPort } from '../support/steady-port.ts';
import { testDomain, withAgent } from '../support/with-agent.ts';
import { startServer, type TestServer } from '../support/with-server.ts';
import { eventually, within } from '../support/within.ts';

const domains = [
  {
    name: 'www.test',
    secrets: [new Secret('a secret of enough bytes')],
    grants: { ports: [{ first: 1, last: 65_535 }] },
  },
];

/** A server whose front door, and so its exposures, are at this address alone. */
async function serverAt(t: TestContext, host: string): Promise<TestServer & { readonly label: string }> {
  const server = await startServer({ listen: [{ host, port: 0 }], domains });
  t.after(() => server.close());
  return { ...server, label: `${host}:${server.port}` };
}

/** A service that greets with its name; what asks for an exposure of it. */
async function service(t: TestContext, name: string) {
  const { address, close } = await startEchoTarget(name);
  t.after(close);
  assert.ok(address.kind === 'tcp');
  const destination = { host: '127.0.0.1', port: address.port };
  return (remote: string, sourcePort: number, type: 'local' | 'remote' = 'local'): ExposureRequest => ({
    name,
    sourcePort,
    remote,
    destination,
    type,
  });
}

const untilComplete = (agent: Agent, id: string) =>
  eventually(`${id} is complete`, () => agent.exposures.list().find((each) => each.id === id)?.status === 'complete');

test('a port is exposed at the server that was named, once: at another one it may lead elsewhere', async (t) => {
  const [one, two] = [await serverAt(t, '127.0.0.1'), await serverAt(t, '127.0.0.2')];
  const [first, second] = [await service(t, 'first'), await service(t, 'second')];
  const port = await steadyPort();
  // Both are servers of one domain.
  const domain = testDomain({ remote: [one.label, two.label], insecure: true });
  await withAgent({ domains: [domain] }, {}, async (agent) => {
    const { exposures } = agent;
    await within('tunnels to both', Promise.all([one, two].map(({ events }) => events.until('tunnel-opened'))));
    const id = await exposures.add(first(one.label, port));
    await untilComplete(agent, id);
    assert.deepEqual([await hear(port, '127.0.0.1'), await hear(port, '127.0.0.2')], ['first', null]);

    await assert.rejects(exposures.add(second(one.label, port)), { code: 'port-taken' });
    const other = await exposures.add(second(two.label, port));
    await untilComplete(agent, other);
    assert.deepEqual([await hear(port, '127.0.0.1'), await hear(port, '127.0.0.2')], ['first', 'second']);

    await exposures.remove(id);
    assert.deepEqual([await hear(port, '127.0.0.1'), await hear(port, '127.0.0.2')], [null, 'second']);
    await exposures.remove(other);
    assert.equal(await hear(port, '127.0.0.2'), null);
  });
});

test('a port of this machine is exposed once, whatever the server; one at a server may have the same number', async (t) => {
  const [one, two] = [await serverAt(t, '127.0.0.1'), await serverAt(t, '127.0.0.2')];
  const some = await service(t, 'some');
  const port = await steadyPort();
  const domain = testDomain({ remote: [one.label, two.label], insecure: true });
  await withAgent({ domains: [domain] }, {}, async (agent) => {
    const { exposures } = agent;
    await one.events.until('tunnel-opened');
    await exposures.add(some(one.label, port, 'remote'));
    await assert.rejects(exposures.add(some(one.label, port, 'remote')), { code: 'port-taken' });
    await assert.rejects(exposures.add(some(two.label, port, 'remote')), { code: 'port-taken' });
    // The second server is at another address of this machine.
    await untilComplete(agent, await exposures.add(some(two.label, port)));
  });
});

test('a second agent that exposes the same port of a server is told who has it, and gets it when it is free', async (t) => {
  const server = await serverAt(t, '127.0.0.1');
  const [first, second] = [await service(t, 'first'), await service(t, 'second')];
  const port = await steadyPort();
  const domainOf = (instance: string) => testDomain({ remote: [server.label], instance });
  await withAgent({ domains: [domainOf('one')] }, {}, async (one) => {
    await within('ready', one.ready);
    const id = await one.exposures.add(first(server.label, port));
    await untilComplete(one, id);
    await withAgent({ domains: [domainOf('two')] }, {}, async (two) => {
      await within('ready', two.ready);
      const refused = await two.exposures.add(second(server.label, port));
      await eventually('an error', () => two.exposures.list()[0]?.status === 'error');
      assert.match(
        two.exposures.list()[0]?.message ?? '',
        new RegExp(`port ${port} is taken by www\\.test \\(instance one\\)`),
      );
      assert.equal(await hear(port), 'first');
      await one.exposures.remove(id);
      await untilComplete(two, refused);
      assert.equal(await hear(port), 'second');
    });
  });
});

test('a port of this machine goes over to another domain of the same server, and is closed with the last', async (t) => {
  const server = await startServer({
    domains: ['www.test', 'new.test'].map((name) => ({ name, secrets: [new Secret('a secret of enough bytes')] })),
  });
  t.after(() => server.close());
  const label = `127.0.0.1:${server.port}`;
  const [former, next] = [
    testDomain({ name: 'www.test', remote: [label] }),
    testDomain({ name: 'new.test', remote: [label] }),
  ];
  const some = await service(t, 'some');
  const port = await steadyPort();
  await withAgent({ domains: [former] }, {}, async (agent) => {
    await within('ready', agent.ready);
    await agent.exposures.add(some(label, port, 'remote'));
    await agent.apply({ domains: [next] });
    const state = () => agent.exposures.list()[0];
    await eventually('it is known', () => state()?.status !== 'pending');
    assert.equal(state()?.status, 'complete', JSON.stringify(state()));
    await agent.apply({ domains: [] });
    assert.equal(state()?.status, 'error');
    assert.equal(await hear(port), null);
    await agent.apply({ domains: [former] });
    await eventually('it is open again', () => state()?.status === 'complete');
  });
});

test('of several domains of a server the one whose grants allow it exposes the port, and the others claim it no more', async (t) => {
  const secrets = [new Secret('a secret of enough bytes')];
  const names = ['a.test', 'b.test', 'c.test'];
  const granted = { ports: [{ first: 1, last: 65_535 }] };
  const policies = (allowed: readonly string[]) =>
    names.map((name) => ({ name, secrets, ...(allowed.includes(name) ? { grants: granted } : {}) }));
  const server = await startServer({ domains: policies(['b.test']) });
  t.after(() => server.close());
  const label = `127.0.0.1:${server.port}`;
  const some = await service(t, 'some');
  const port = await steadyPort();
  const claims = () => server.events.of('port-opened').map(({ domain }) => domain);
  await withAgent(
    { domains: names.map((name) => testDomain({ name, remote: [label] })) },
    {},
    async (agent, events) => {
      await within('ready', agent.ready);
      const id = await agent.exposures.add(some(label, port));
      await untilComplete(agent, id);
      assert.equal(await hear(port), 'some');
      assert.deepEqual(claims(), ['b.test']);

      // Who is granted it next gets it, whether or not it was asked before.
      await server.apply({ domains: policies(['a.test', 'c.test']) });
      assert.equal(await hear(port), null);
      await agent.exposures.remove(id);
      await untilComplete(agent, await agent.exposures.add(some(label, port)));
      assert.deepEqual(claims(), ['b.test', 'a.test']);
      assert.ok(
        events.of('port-refused').every(({ domain, reason }) => domain === 'a.test' && reason === 'port-refused'),
      );
    },
  );
});

test('an exposure that no domain is granted says so, and comes up when one is', async (t) => {
  const secrets = [new Secret('a secret of enough bytes')];
  const names = ['a.test', 'b.test'];
  const server = await startServer({ domains: names.map((name) => ({ name, secrets })) });
  t.after(() => server.close());
  const label = `127.0.0.1:${server.port}`;
  const some = await service(t, 'some');
  const port = await steadyPort();
  await withAgent(
    { domains: names.map((name) => testDomain({ name, remote: [label] })) },
    {},
    async (agent, events) => {
      await within('ready', agent.ready);
      const id = await agent.exposures.add(some(label, port));
      await events.until('port-refused', 2);
      await eventually('an error', () => agent.exposures.list()[0]?.status === 'error');
      const grants = { ports: [{ first: 1, last: 65_535 }] };
      await server.apply({
        domains: names.map((name) => ({ name, secrets, ...(name === 'a.test' ? { grants } : {}) })),
      });
      await untilComplete(agent, id);
      await agent.exposures.remove(id);
      assert.equal(await hear(port), null);
      // Each was told of once, however often it was asked again.
      assert.deepEqual(
        events.of('port-refused').map(({ domain }) => domain),
        names,
      );
    },
  );
});

test('a destination is dialled by the domain whose grants allow it', async (t) => {
  const secrets = [new Secret('a secret of enough bytes')];
  const some = await service(t, 'some');
  const destinations = [{ host: { address: '127.0.0.1', prefix: 32 }, ports: { first: 1, last: 65_535 } }];
  const server = await startServer({
    domains: [
      { name: 'a.test', secrets },
      { name: 'b.test', secrets, grants: { destinations } },
    ],
  });
  t.after(() => server.close());
  const label = `127.0.0.1:${server.port}`;
  const [port, nowhere] = [await steadyPort(), await steadyPort()];
  const domains = ['a.test', 'b.test'].map((name) => testDomain({ name, remote: [label] }));
  await withAgent({ domains }, {}, async (agent) => {
    await within('ready', agent.ready);
    await agent.exposures.add(some(label, port, 'remote'));
    assert.equal(await hear(port), 'some');
    // What the server may reach and does not is told as that.
    const failing = { ...some(label, nowhere, 'remote'), destination: { host: '127.0.0.1', port: 1 } };
    const id = await agent.exposures.add(failing);
    assert.equal(await hear(nowhere), null);
    const state = agent.exposures.list().find((each) => each.id === id);
    assert.match(state?.message ?? '', /with 502/);
  });
});
