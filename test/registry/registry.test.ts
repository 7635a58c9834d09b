import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Carrier } from '../../src/core/dial.ts';
import { type Choice, type RegisteredTunnel, TunnelRegistry } from '../../src/registry/registry.ts';

/** A tunnel with nothing behind it: the registry only reads what it is and how full. */
function tunnel(domain: string, instance: string, slot = 0, more: Partial<RegisteredTunnel> = {}): RegisteredTunnel {
  const id = `${instance}.${domain}/${slot}`;
  return {
    id,
    domain,
    instance,
    info: { id, domain, instance, slot, remote: '127.0.0.1:1', node: 'here' },
    streamPerVisitor: false,
    timeouts: { readMs: 0, writeMs: 0 },
    epoch: 0,
    usable: true,
    leaving: new AbortController().signal,
    streamCount: 0,
    streamLimit: 10,
    isCrowded: false,
    get stats(): never {
      throw new Error('not asked here');
    },
    open: () => Promise.reject(new Error('not opened here')),
    drain: () => {},
    ...more,
  };
}

function pickIds(registry: TunnelRegistry, count: number, balance: Choice = 'round-robin'): string[] {
  return Array.from({ length: count }, () => {
    const picked = registry.pick('www.test', { instance: null, balance });
    return typeof picked === 'string' ? picked : picked.id;
  });
}

test('round-robin gives each instance its turn', () => {
  const registry = new TunnelRegistry();
  for (const instance of ['a', 'b']) for (const slot of [0, 1]) registry.add(tunnel('www.test', instance, slot));
  const instances = pickIds(registry, 8).map((id) => id[0]);
  for (let i = 1; i < instances.length; i += 1) assert.notEqual(instances[i], instances[i - 1]);
});

/** Picks so often, and keeps each stream: how many each slot has then. */
function fill(slots: number, streamLimit: number, picks: number): number[] {
  const registry = new TunnelRegistry();
  const streams = Array.from({ length: slots }, () => 0);
  for (const slot of streams.keys()) {
    const count = (): number => streams[slot] ?? 0;
    const full = tunnel('www.test', 'a', slot, { streamLimit });
    registry.add(Object.defineProperty(full, 'streamCount', { get: count }));
  }
  for (let i = 0; i < picks; i += 1) {
    const picked = registry.pick('www.test', { instance: null, balance: 'round-robin' });
    if (typeof picked === 'string') break;
    streams[picked.info.slot] = picked.streamCount + 1;
  }
  return streams;
}

test('few streams are gathered in one tunnel of an instance; many share all of its tunnels, up to the limit of each', () => {
  assert.deepEqual(fill(2, 1_000, 128), [128, 0]);
  assert.deepEqual(fill(2, 1_000, 256), [128, 128]);
  assert.deepEqual(fill(3, 1_000, 3 * 128 + 30), [138, 138, 138]);
  assert.deepEqual(fill(2, 100, 150), [100, 50]);
  assert.deepEqual(fill(2, 150, 10_000), [150, 150]);
});

test('of many streams the next goes to the tunnel that has the fewest', () => {
  const registry = new TunnelRegistry();
  for (const [slot, streamCount] of [300, 200, 250].entries())
    registry.add(tunnel('www.test', 'a', slot, { streamCount, streamLimit: 1_000 }));
  assert.deepEqual(pickIds(registry, 3), Array(3).fill('a.www.test/1'));
});

test('a tunnel that stalled readers crowd is avoided, however few streams it has, while another has room', () => {
  const registry = new TunnelRegistry();
  const add = (slot: number, streamCount: number, isCrowded: boolean): void => {
    registry.add(tunnel('www.test', 'a', slot, { streamCount, isCrowded, streamLimit: 1_000 }));
  };
  add(0, 40, true);
  add(1, 300, true);
  assert.deepEqual(pickIds(registry, 2), Array(2).fill('a.www.test/0'));
  add(2, 200, false);
  assert.deepEqual(pickIds(registry, 2), Array(2).fill('a.www.test/2'));
  add(3, 100, false);
  assert.deepEqual(pickIds(registry, 2), Array(2).fill('a.www.test/3'));
});

test('the lowest slot comes first, in whatever order the tunnels came', () => {
  const registry = new TunnelRegistry();
  for (const slot of [2, 0, 1]) registry.add(tunnel('www.test', 'a', slot));
  assert.deepEqual(pickIds(registry, 2), Array(2).fill('a.www.test/0'));
  assert.deepEqual(
    Array.from(registry.tunnels(), ({ info }) => info.slot),
    [0, 1, 2],
  );
});

test('a tunnel that drains is given nothing, even where it is the only one', () => {
  const registry = new TunnelRegistry();
  registry.add(tunnel('www.test', 'a', 0, { usable: false }));
  assert.equal(registry.pick('www.test', { instance: null, balance: 'round-robin' }), 'none');
  registry.add(tunnel('www.test', 'a', 1));
  assert.deepEqual(pickIds(registry, 3), ['a.www.test/1', 'a.www.test/1', 'a.www.test/1']);
});

test('least-streams gives the instance with the fewest open streams', () => {
  const registry = new TunnelRegistry();
  registry.add(tunnel('www.test', 'busy', 0, { streamCount: 5 }));
  registry.add(tunnel('www.test', 'idle', 0, { streamCount: 1 }));
  assert.deepEqual(pickIds(registry, 3, 'least-streams'), Array(3).fill('idle.www.test/0'));
});

test('random reaches every instance', () => {
  const registry = new TunnelRegistry();
  for (const instance of ['a', 'b', 'c']) registry.add(tunnel('www.test', instance));
  assert.equal(new Set(pickIds(registry, 200, 'random')).size, 3);
});

test('a newer tunnel of the same slot replaces the older, whose end does not remove the newer', () => {
  const registry = new TunnelRegistry();
  const older = tunnel('www.test', 'a');
  const newer = tunnel('www.test', 'a');
  assert.equal(registry.add(older), null);
  assert.equal(registry.add(newer), older);
  registry.remove(older);
  assert.equal(registry.pick('www.test', { instance: null, balance: 'round-robin' }), newer);
  assert.equal(registry.instanceCount('www.test'), 1);
});

test('one instance can be picked by name, and an unknown one is none', () => {
  const registry = new TunnelRegistry();
  registry.add(tunnel('www.test', 'a'));
  const b = tunnel('www.test', 'b');
  registry.add(b);
  assert.equal(registry.pick('www.test', { instance: 'b', balance: 'round-robin' }), b);
  assert.equal(registry.pick('www.test', { instance: 'c', balance: 'round-robin' }), 'none');
});

test('what was tried never comes again, and its instance comes last', () => {
  const registry = new TunnelRegistry();
  const a0 = tunnel('www.test', 'a', 0);
  const a1 = tunnel('www.test', 'a', 1);
  const b0 = tunnel('www.test', 'b', 0);
  for (const one of [a0, a1, b0]) registry.add(one);
  const pick = (...tried: Carrier[]): unknown =>
    registry.pick('www.test', { instance: null, balance: 'round-robin', except: new Set(tried) });
  for (let round = 0; round < 4; round += 1) assert.equal(pick(a0), b0);
  assert.equal(pick(a0, b0), a1);
  assert.equal(pick(a0, a1, b0), 'none');
});

test('full tunnels are passed over, and when all are full that is said', () => {
  const registry = new TunnelRegistry();
  registry.add(tunnel('www.test', 'a', 0, { streamCount: 10 }));
  assert.deepEqual(pickIds(registry, 1), ['full']);
  registry.add(tunnel('www.test', 'b', 0));
  assert.deepEqual(pickIds(registry, 3), Array(3).fill('b.www.test/0'));
});

test('a domain without tunnels leaves nothing behind', () => {
  const registry = new TunnelRegistry();
  const only = tunnel('www.test', 'a');
  registry.add(only);
  registry.remove(only);
  registry.remove(only);
  assert.deepEqual([...registry.tunnels()], []);
  assert.equal(registry.instanceCount('www.test'), 0);
  assert.deepEqual(pickIds(registry, 1), ['none']);
});
