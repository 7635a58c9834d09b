import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { RefusalList } from '../../src/cli/refusal-list.ts';
import { type FeedRow, StatusFeed } from '../../src/cli/status-feed.ts';
import type { DomainState } from '../../src/index.ts';
import type { TrafficTotals } from '../../src/metrics/traffic.ts';

interface Told {
  readonly cursor: string;
  readonly full: boolean;
  readonly domains: readonly FeedRow[];
  readonly gone: readonly string[];
  readonly refusals: readonly { readonly id: number }[];
}

/** A feed of played domains; a second passes before each time it is asked. */
function startFeed(t: TestContext, count: number) {
  const domains = new Map<string, DomainState>();
  const traffic = new Map<string, TrafficTotals>();
  const refusals = new RefusalList();
  const inactive = new Set<string>();
  const names = Array.from({ length: count }, (_, index) => `d${index}.test`);
  for (const name of names) domains.set(name, { name, instances: [], hasTarget: false, active: {} });
  const feed = new StatusFeed({
    summary: () => ({}) as never,
    domains: () => [...domains.values()],
    inactive: () => [...inactive],
    tunnels: () => [],
    traffic: () => new Map(traffic),
    domainOf: (name) => name,
    refusals,
  });
  let clock = 0;
  t.mock.method(performance, 'now', () => clock);
  const ask = (cursor: string): Told => {
    clock += 1_000;
    return feed.changes(cursor) as Told;
  };
  const visit = (name: string, requests: number): void => {
    const before = traffic.get(name) ?? { requests: 0, failures: 0, receivedBytes: 0, sentBytes: 0 };
    traffic.set(name, { ...before, requests: before.requests + requests });
  };
  return { names, domains, inactive, refusals, ask, visit };
}

const namesIn = ({ domains }: Told): string[] => domains.map(({ name }) => name).toSorted();

test('of 10,000 domains those are sent in which something changed, and no others', (t) => {
  const { names, domains, ask, visit } = startFeed(t, 10_000);
  const all = ask('');
  assert.ok(all.full);
  assert.equal(all.domains.length, 10_000);
  const visited = names.slice(5_000, 5_200);
  for (const name of visited) visit(name, 1);
  const busy = ask(all.cursor);
  assert.equal(busy.full, false);
  assert.deepEqual(namesIn(busy), visited.toSorted());
  assert.ok(busy.domains.every(({ requests }) => requests === 1));
  // Half of them go on as they were, which changes nothing; the rates of the others fall to 0.
  for (const name of visited.slice(0, 100)) visit(name, 1);
  const calmer = ask(busy.cursor);
  assert.deepEqual(namesIn(calmer), visited.slice(100).toSorted());
  assert.ok(calmer.domains.every(({ requests }) => requests === 0));
  const served = { name: 'one', domain: 'd7.test', tunnels: 2, streams: 0 };
  domains.set('d7.test', { name: 'd7.test', instances: [served], hasTarget: false, active: {} });
  domains.set('d8.test', { name: 'd8.test', instances: [], hasTarget: true, active: { https: 1, tcp: 2 } });
  domains.delete('d9.test');
  for (const name of visited.slice(0, 100)) visit(name, 1);
  const moved = ask(calmer.cursor);
  assert.deepEqual(
    moved.domains.map(({ name, instances, hasTarget, tunnels, active }) => [
      name,
      instances,
      hasTarget,
      tunnels,
      active,
    ]),
    [
      ['d7.test', ['one'], false, 2, 0],
      ['d8.test', [], true, 0, 3],
    ],
  );
  assert.deepEqual(moved.gone, ['d9.test']);
  domains.set('d7.test', { name: 'd7.test', instances: [{ ...served, name: 'two' }], hasTarget: false, active: {} });
  for (const name of visited.slice(0, 100)) visit(name, 1);
  const renamed = ask(moved.cursor);
  assert.deepEqual([namesIn(renamed), renamed.gone], [['d7.test'], []]);
  // A page that missed the looks in between is told the same in one.
  const late = ask(busy.cursor);
  assert.deepEqual([late.full, late.gone], [false, ['d9.test']]);
  assert.deepEqual(namesIn(late), [...visited, 'd7.test', 'd8.test'].toSorted());
});

test('domains that went are remembered up to a bound; who saw none of them go is told everything', (t) => {
  const { names, domains, ask } = startFeed(t, 1_500);
  const first = ask('');
  for (const name of names.slice(0, 600)) domains.delete(name);
  const second = ask(first.cursor);
  assert.equal(second.gone.length, 600);
  for (const name of names.slice(600, 1_200)) domains.delete(name);
  const third = ask(second.cursor);
  assert.deepEqual([third.full, third.gone.length], [false, 600]);
  const late = ask(first.cursor);
  assert.deepEqual([late.full, late.gone, late.domains.length], [true, [], 300]);
  // Those that come again are gone no more, and a page that never saw them leave is not told that they did.
  for (const name of names.slice(0, 1_200)) domains.set(name, { name, instances: [], hasTarget: false, active: {} });
  const again = ask(third.cursor);
  assert.deepEqual([again.full, again.gone, again.domains.length], [false, [], 1_200]);
});

test('a cursor that nobody was given is answered with everything, refusals too', (t) => {
  const { refusals, ask } = startFeed(t, 3);
  refusals.observe({
    type: 'connection-refused',
    remote: '192.0.2.1:1',
    name: null,
    reason: 'hello-invalid',
    detail: '',
  });
  const { cursor } = ask('');
  const known = ask(cursor);
  assert.deepEqual([known.full, known.domains.length, known.refusals.length], [false, 0, 0]);
  const [epoch] = cursor.split('.');
  for (const strange of ['', 'x.1.0', `${epoch}`, `${epoch}.x.0`, `${epoch}.0.x`, `${epoch}.-1.0`, `${epoch}.1`]) {
    const told = ask(strange);
    assert.deepEqual([told.full, told.domains.length, told.refusals.length], [true, 3, 1], strange);
  }
});

test('of 10,000 inactive domains a page is told once, and of those that became active or went', (t) => {
  const { names, domains, inactive, ask } = startFeed(t, 10_000);
  domains.clear();
  for (const name of names) inactive.add(name);
  const first = ask('');
  assert.equal(first.domains.length, 10_000);
  assert.ok(first.domains.every(({ isInactive, instances }) => isInactive && instances.length === 0));
  inactive.delete('d7.test');
  domains.set('d7.test', { name: 'd7.test', instances: [], hasTarget: false, active: {} });
  inactive.delete('d8.test');
  const second = ask(first.cursor);
  assert.deepEqual([second.full, second.gone], [false, ['d8.test']]);
  assert.deepEqual(
    second.domains.map(({ name, isInactive }) => [name, isInactive]),
    [['d7.test', false]],
  );
  domains.delete('d7.test');
  inactive.add('d7.test');
  const third = ask(second.cursor);
  assert.deepEqual([namesIn(third), third.domains[0]?.isInactive, third.gone], [['d7.test'], true, []]);
});
