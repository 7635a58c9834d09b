import assert from 'node:assert/strict';
import { beforeEach, describe, it, mock } from 'node:test';
import type { ResolvedTarget } from '../../src/agent/resolve-routes.ts';
import { type GroupMember, TargetGroup } from '../../src/agent/target-group.ts';
import { BackdialError } from '../../src/core/errors.ts';

const target = (port: number): ResolvedTarget => ({ kind: 'tcp', host: '127.0.0.1', port });
const portOf = ({ target: one }: GroupMember) => (one.kind === 'unix' ? 0 : one.port);
const signal = new AbortController().signal;

describe('a group of targets', () => {
  let now = 1_000;
  beforeEach(() => {
    now = 1_000;
    mock.method(performance, 'now', () => now);
  });

  /** A group by weights; `down` are the ports that refuse. */
  function groupOf(...weights: number[]) {
    const down = new Set<number>();
    const told: number[] = [];
    const back: [port: number, awayMs: number][] = [];
    const tried: number[] = [];
    const group = new TargetGroup(
      weights.map((weight, i) => ({ target: target(i + 1), weight })),
      {
        memberOnFail: (one) => told.push(portOf({ target: one })),
        memberOnReturn: (one, awayMs) => back.push([portOf({ target: one }), awayMs]),
      },
    );
    const open = (member: GroupMember) => {
      tried.push(portOf(member));
      return down.has(portOf(member))
        ? Promise.reject(new BackdialError('target-refused', String(portOf(member))))
        : Promise.resolve(portOf(member));
    };
    return { group, down, told, back, tried, next: () => group.open(open, signal) };
  }

  it('takes turns by weight, spread out', async () => {
    const { next } = groupOf(3, 1);
    const ports = [];
    for (let i = 0; i < 8; i += 1) ports.push(await next());
    assert.deepEqual(ports, [1, 1, 2, 1, 1, 1, 2, 1]);
  });

  it('tries the others where one refuses, tells of it once, and avoids it', async () => {
    const { next, down, told, tried } = groupOf(1, 1);
    down.add(1);
    for (let i = 0; i < 10; i += 1) assert.equal(await next(), 2);
    assert.deepEqual(told, [1]);
    assert.equal(tried.filter((port) => port === 1).length, 1);
  });

  it('tries one again after a second, then after twice as long each time, at most 30 s; and takes it back', async () => {
    const { next, down, tried, told } = groupOf(1, 1);
    down.add(1);
    const probes: number[] = [];
    for (; now < 200_000; now += 100) {
      const before = tried.length;
      await next();
      if (tried.slice(before).includes(1)) probes.push(now);
    }
    const waits = probes.slice(1).map((at, i) => at - (probes[i] ?? 0));
    // It is looked at each 100 ms, and every other time it is the other one's turn.
    for (const [i, wait] of waits.entries()) {
      const wanted = Math.min(30_000, 1_000 * 2 ** i);
      assert.ok(wait >= wanted && wait <= wanted + 200, `${wait} ms, not ${wanted}`);
    }
    assert.ok(waits.length > 6);
    down.delete(1);
    now += 30_000;
    const ports = [];
    for (let i = 0; i < 8; i += 1) ports.push(await next());
    assert.equal(ports.filter((port) => port === 1).length, 4);
    assert.deepEqual(told, [1]);
    down.add(1);
    for (let i = 0; i < 4; i += 1) await next();
    assert.deepEqual(told, [1, 1], 'it was well in between');
  });

  it('tells once that one is back, and how long it was away; of an only one it tells nothing', async () => {
    const [several, only] = [groupOf(1, 1), groupOf(1)];
    for (const { next, down } of [several, only]) {
      down.add(1);
      await next().catch(() => {});
      now += 1_500;
      await next().catch(() => {});
      down.delete(1);
      now += 40_000;
      for (let i = 0; i < 4; i += 1) await next();
    }
    assert.deepEqual(several.told, [1]);
    assert.deepEqual(several.back, [[1, 41_500]]);
    assert.deepEqual([...only.told, ...only.back], []);
  });

  it('counts a hundred failures at the same time as one', async () => {
    const { group, tried } = groupOf(1, 1);
    let refuse = () => {};
    const refused = new Promise<void>((resolve) => {
      refuse = resolve;
    });
    const open = async (member: GroupMember) => {
      tried.push(portOf(member));
      if (portOf(member) === 2) return 2;
      await refused;
      throw new BackdialError('target-refused');
    };
    const all = Array.from({ length: 200 }, () => group.open(open, signal));
    refuse();
    assert.deepEqual(new Set(await Promise.all(all)), new Set([2]));
    now += 1_001;
    tried.length = 0;
    await group.open(open, signal);
    await group.open(open, signal);
    assert.ok(tried.includes(1), 'a second later it is tried again');
  });

  it('sends one probe at a time', async () => {
    const { group, next, down, tried } = groupOf(1, 1);
    down.add(1);
    await next();
    await next();
    now += 1_001;
    tried.length = 0;
    const open = (member: GroupMember) => {
      tried.push(portOf(member));
      return portOf(member) === 1 ? new Promise<number>(() => {}) : Promise.resolve(2);
    };
    void group.open(open, signal);
    void group.open(open, signal);
    for (let i = 0; i < 10; i += 1) assert.equal(await group.open(open, signal), 2);
    assert.equal(tried.filter((port) => port === 1).length, 1);
  });

  it('tries all of them, where all fail, and fails with the last error', async () => {
    const { next, down, tried } = groupOf(1, 1, 1, 1, 1);
    for (const port of [1, 2, 3, 4, 5]) down.add(port);
    await assert.rejects(next(), { code: 'target-refused' });
    assert.deepEqual(tried.toSorted(), [1, 2, 3, 4, 5]);
    down.delete(4);
    assert.equal(await next(), 4);
    tried.length = 0;
    for (let i = 0; i < 3; i += 1) assert.equal(await next(), 4);
    assert.deepEqual(tried, [4, 4, 4], 'the one that is well again is all that is tried');
  });

  it('does not blame a target for a visitor who went', async () => {
    const { group, next, told } = groupOf(1, 1);
    const gone = new AbortController();
    const opening = group.open(
      () => new Promise((_resolve, reject) => gone.signal.addEventListener('abort', reject)),
      gone.signal,
    );
    gone.abort(new BackdialError('visitor-reset'));
    await assert.rejects(opening, { code: 'visitor-reset' });
    assert.deepEqual(told, []);
    assert.deepEqual(new Set([await next(), await next()]), new Set([1, 2]));
  });
});
