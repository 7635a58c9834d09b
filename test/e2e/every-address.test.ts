import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentInternals } from '../../src/agent/internals.ts';
import { createAgent, type TunnelInfo } from '../../src/index.ts';
import { answering } from '../support/dns-server.ts';
import { greetingOf, startEchoTarget } from '../support/echo-target.ts';
import { EventLog } from '../support/event-log.ts';
import { QUICK, testDomain } from '../support/with-agent.ts';
import { startServer, type TestServer } from '../support/with-server.ts';
import { eventually } from '../support/within.ts';

/** How often each address holds a tunnel, by the agent's events. */
function openBy(events: EventLog): Record<string, number> {
  const closed = new Set(events.of('tunnel-closed').map(({ tunnel }) => tunnel.id));
  const open = events.of('tunnel-opened').filter(({ tunnel }) => !closed.has(tunnel.id));
  const count: Record<string, number> = {};
  for (const { tunnel } of open) count[addressOf(tunnel)] = (count[addressOf(tunnel)] ?? 0) + 1;
  return count;
}

function addressOf({ remote }: TunnelInfo): string {
  return remote.slice(0, remote.lastIndexOf(':'));
}

function untilOpen(events: EventLog, expected: Record<string, number>): Promise<void> {
  const wanted = JSON.stringify(expected);
  const sorted = () => JSON.stringify(Object.fromEntries(Object.entries(openBy(events)).sort()));
  return eventually(`tunnels ${wanted}`, () => sorted() === wanted);
}

test('every address of a name gets its tunnels; addresses that come and go are followed; DNS trouble changes nothing', async () => {
  const first = await startServer();
  const servers: TestServer[] = [first];
  for (const host of ['127.0.0.2', '::1']) {
    servers.push(await startServer({ listen: [{ host, port: first.port }] }));
  }
  const target = await startEchoTarget('hello');
  const events = new EventLog();
  let answer: readonly string[] | string = ['127.0.0.1', '127.0.0.2'];
  let asked = 0;
  const internals: Partial<AgentInternals> = {
    ...QUICK,
    resolveInterval: { leastMs: 1, mostMs: 30 },
    lookup: (host) => {
      assert.equal(host, 'many.example.com');
      asked += 1;
      return answering(answer);
    },
  };
  const domain = testDomain({ remote: [`many.example.com:${first.port}`], connections: 2, target: target.address });
  const agent = createAgent({ domains: [domain], observer: events.observer }, internals);
  try {
    agent.start();
    await untilOpen(events, { '127.0.0.1': 2, '127.0.0.2': 2 });
    // No two have the same slot: two addresses may lead to one server, where one would replace the other.
    const slots = agent.state().domains[0]?.links.map(({ slot }) => slot);
    assert.deepEqual(slots?.sort(), [0, 1, 2, 3]);

    answer = ['127.0.0.1', '127.0.0.2', '::1'];
    await untilOpen(events, { '127.0.0.1': 2, '127.0.0.2': 2, '[::1]': 2 });

    // An address that goes is drained, not cut: what is open on it ends in its own time.
    const stream = (await servers[1]?.server.dial('www.test')) ?? assert.fail();
    assert.equal(await greetingOf(stream), 'hello');
    answer = ['127.0.0.1', '::1'];
    await eventually('the agent drains', () => events.of('tunnel-draining').length === 1);
    stream.write('still here');
    assert.equal(await greetingOf(stream), 'still here');
    stream.end();
    await untilOpen(events, { '127.0.0.1': 2, '[::1]': 2 });
    assert.ok(events.of('tunnel-closed').every(({ reason }) => reason === 'drained'));

    for (const trouble of ['EAI_AGAIN', 'ESERVFAIL', 'ETIMEOUT']) {
      answer = trouble;
      const before = asked;
      await eventually('the trouble is met', () => asked >= before + 3);
    }
    assert.deepEqual(openBy(events), { '127.0.0.1': 2, '[::1]': 2 });

    answer = 'ENOTFOUND';
    await untilOpen(events, {});
    assert.equal((await events.until('dial-failed'))[0]?.reason, 'server-unresolved');
    answer = ['127.0.0.2'];
    await untilOpen(events, { '127.0.0.2': 2 });
  } finally {
    await agent.close({ drainMs: 0 });
    for (const server of servers) await server.close();
    target.close();
  }
});

test('one server that is reached by two addresses keeps the tunnels of both', async () => {
  const both = await startServer({ listen: [{ host: '0.0.0.0', port: 0 }] });
  const events = new EventLog();
  const domain = testDomain({ remote: [`many.example.com:${both.port}`] });
  const internals = { ...QUICK, lookup: () => answering(['127.0.0.1', '127.0.0.2']) };
  const agent = createAgent({ domains: [domain], observer: events.observer }, internals);
  try {
    agent.start();
    await untilOpen(events, { '127.0.0.1': 1, '127.0.0.2': 1 });
    await eventually('two tunnels at the server', () => both.server.tunnels().length === 2);
    assert.equal(events.of('warning').length, 0);
    assert.equal(events.of('tunnel-closed').length, 0);
  } finally {
    await agent.close({ drainMs: 0 });
    await both.close();
  }
});
