import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Agent, createAgent } from '../../src/agent/agent.ts';
import type { AgentInternals } from '../../src/agent/internals.ts';
import { answering } from '../support/dns-server.ts';
import { EventLog } from '../support/event-log.ts';
import { FakeServer } from '../support/fake-server.ts';
import { QUICK, testDomain, withAgent } from '../support/with-agent.ts';
import { eventually, within } from '../support/within.ts';

/** What a name resolves to: addresses, or an error's code. */
type Names = Readonly<Record<string, readonly string[] | string>>;

interface Step {
  readonly title: string;
  /** The servers that the agent is told to dial, and what their names resolve to. */
  readonly before: Names;
  readonly after: Names;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

const BOTH: Names = { 'test1.example.com': ['127.0.0.1', '127.0.0.2'], 'test2.example.com': ['127.0.0.3'] };

/** The rows of the tests of whip's reconciler, with addresses that can be dialled. */
const STEPS: readonly Step[] = [
  {
    title: 'names that are new: each of their addresses is dialled',
    before: { 'test1.example.com': 'ENOTFOUND', 'test2.example.com': 'ENOTFOUND' },
    after: BOTH,
    added: ['test1.example.com 127.0.0.1', 'test1.example.com 127.0.0.2', 'test2.example.com 127.0.0.3'],
    removed: [],
  },
  { title: 'nothing changed', before: BOTH, after: BOTH, added: [], removed: [] },
  {
    title: 'a server that is not named any more: its tunnels go',
    before: BOTH,
    after: { 'test2.example.com': ['127.0.0.3'] },
    added: [],
    removed: ['test1.example.com 127.0.0.1', 'test1.example.com 127.0.0.2'],
  },
  {
    title: 'an address that is gone: its tunnel goes',
    before: BOTH,
    after: { ...BOTH, 'test1.example.com': ['127.0.0.1'] },
    added: [],
    removed: ['test1.example.com 127.0.0.2'],
  },
  {
    title: 'an address that came is dialled',
    before: { ...BOTH, 'test1.example.com': ['127.0.0.1'] },
    after: BOTH,
    added: ['test1.example.com 127.0.0.2'],
    removed: [],
  },
  {
    title: 'a name that does not exist any more: its tunnels go',
    before: BOTH,
    after: { ...BOTH, 'test1.example.com': 'ENOTFOUND' },
    added: [],
    removed: ['test1.example.com 127.0.0.1', 'test1.example.com 127.0.0.2'],
  },
  {
    title: 'a name that cannot be resolved for a while: its tunnels stay',
    before: BOTH,
    after: { ...BOTH, 'test1.example.com': 'EAI_AGAIN' },
    added: [],
    removed: [],
  },
];

describe("an agent's tunnels follow the addresses of its servers (whip's reconciler)", () => {
  for (const step of STEPS) test(step.title, () => follows(step));
});

test('a server that is named again is dialled again', async () => {
  const server = new FakeServer();
  const both = [`127.0.0.1:${await server.listen()}`, '127.0.0.1:1'];
  try {
    await withAgent({ domains: [testDomain({ remote: both })] }, {}, async (agent, events) => {
      await events.until('tunnel-opened');
      await agent.apply({ domains: [testDomain({ remote: both.slice(1) })] });
      await events.until('tunnel-closed');
      await agent.apply({ domains: [testDomain({ remote: both })] });
      await events.until('tunnel-opened', 2);
    });
  } finally {
    server.close();
  }
});

test('an agent that is told of another server before it starts dials that one alone', async () => {
  const [first, second] = [new FakeServer(), new FakeServer()];
  const remotes = [`127.0.0.1:${await first.listen()}`, `127.0.0.1:${await second.listen()}`];
  const [before, after] = remotes.map((remote) => ({ domains: [testDomain({ remote: [remote] })] }));
  assert.ok(before !== undefined && after !== undefined);
  const events = new EventLog();
  const agent = createAgent({ ...before, observer: events.observer }, QUICK);
  try {
    await agent.apply({ ...after, observer: events.observer });
    await agent.apply({ domains: [...after.domains, testDomain({ name: 'more.test', remote: remotes.slice(1) })] });
    assert.deepEqual(
      agent.state().domains.map(({ links }) => links),
      [[], []],
      'nothing is dialled before',
    );
    agent.start();
    await within('both domains', agent.ready);
    assert.deepEqual([first.handshakes.length, second.handshakes.length], [0, 2]);
  } finally {
    await agent.close({ drainMs: 0 });
    first.close();
    second.close();
  }
});

async function follows({ before, after, added, removed }: Step): Promise<void> {
  const server = new FakeServer({ host: '0.0.0.0' });
  const port = await server.listen();
  let names = before;
  const asked = new Map<string, number>();
  const internals: Partial<AgentInternals> = {
    resolveInterval: { leastMs: 1, mostMs: 10 },
    lookup(host) {
      asked.set(host, (asked.get(host) ?? 0) + 1);
      // One that is not named any more goes on to exist.
      return answering(names[host] ?? before[host] ?? 'ENOTFOUND');
    },
  };
  const domains = () => {
    const remote = Object.keys(names).map((name) => `${name}:${port}`);
    return [testDomain({ remote })];
  };
  try {
    await withAgent({ domains: domains() }, internals, async (agent, events) => {
      const old = await untilTunnels(agent, expectedOf(before));
      const answers = new Map(asked);
      names = after;
      await agent.apply({ domains: domains() });
      for (const name of Object.keys(after)) {
        const enough = (answers.get(name) ?? 0) + 3;
        await eventually(`the look-ups of ${name}`, () => (asked.get(name) ?? 0) >= enough);
      }
      const left = [...old.keys()].filter((key) => !removed.includes(key));
      const now = await untilTunnels(agent, [...left, ...added]);
      await eventually('the drained tunnels', () => events.of('tunnel-closed').length >= removed.length);
      // Those that stay are the same ones, and those that went had time to end.
      for (const key of left) assert.equal(now.get(key), old.get(key), key);
      assert.deepEqual(
        events.of('tunnel-closed').map(({ reason }) => reason),
        removed.map(() => 'drained'),
      );
      assert.equal(events.of('tunnel-opened').length, old.size + added.length);
    });
  } finally {
    server.close();
  }
}

function expectedOf(names: Names): string[] {
  return Object.entries(names).flatMap(([name, addresses]) =>
    typeof addresses === 'string' ? [] : addresses.map((address) => `${name} ${address}`),
  );
}

/** Waits until exactly these have a tunnel; gives their ids, by name and address. */
async function untilTunnels(agent: Agent, expected: readonly string[]): Promise<Map<string, string>> {
  const wanted = expected.toSorted().join();
  let found = new Map<string, string>();
  await eventually(`tunnels ${wanted}`, () => {
    found = tunnelsOf(agent);
    return [...found.keys()].toSorted().join() === wanted;
  });
  return found;
}

function tunnelsOf(agent: Agent): Map<string, string> {
  const links = agent.state().domains.flatMap((domain) => domain.links);
  return new Map(
    links.flatMap(({ server, address, tunnel }) =>
      tunnel === null ? [] : [[`${withoutPort(server)} ${withoutPort(address ?? '')}`, tunnel.id]],
    ),
  );
}

function withoutPort(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}
