import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http from 'node:http';
import * as net from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import type { Balance } from '../../src/server/options.ts';
import { type RoutedKit, withRouted } from '../support/routed.ts';
import { startToldTarget, type Told, type ToldTarget } from '../support/told-target.ts';
import { eventually, within } from '../support/within.ts';

const keysOf = (target: ToldTarget | { port: number }) => `targets: { target: "http://127.0.0.1:${target.port}" }`;

/** Instances `one`, `two` and `three`, each with a target of its own. */
async function withInstances(
  balance: Balance,
  body: (kit: RoutedKit, targets: readonly ToldTarget[]) => Promise<void>,
): Promise<void> {
  const targets = await Promise.all(['one', 'two', 'three'].map((name) => startToldTarget(name)));
  const [one, two, three] = targets as [ToldTarget, ToldTarget, ToldTarget];
  try {
    await withRouted({ keys: keysOf(one), serverDomain: { balance } }, async (kit) => {
      await kit.addAgent('two', keysOf(two));
      await kit.addAgent('three', keysOf(three));
      await body(kit, targets);
    });
  } finally {
    await Promise.all(targets.map((target) => target.close()));
  }
}

/** One request over a byte stream to `name`: who answered. */
async function askOver(stream: Duplex): Promise<string> {
  stream.on('error', () => {});
  const request = http.get({ createConnection: () => stream, host: 'www.example.com' });
  const [response] = await within('an answer', once(request, 'response'));
  const { target } = JSON.parse(await text(response)) as Told;
  stream.destroy();
  return target;
}

describe('several instances of a domain', () => {
  test('take turns: HTTPS requests and TCP visitors alike', () =>
    withInstances('round-robin', async ({ ask, tcp }, targets) => {
      const names: string[] = [];
      for (let i = 0; i < 9; i += 1) names.push((await ask<Told>('/')).target);
      for (const name of ['one', 'two', 'three']) assert.equal(names.filter((each) => each === name).length, 3, name);
      for (let i = 1; i < names.length; i += 1) assert.notEqual(names[i], names[i - 1]);
      const before = targets.map(({ seen }) => seen.length);
      for (let i = 0; i < 6; i += 1) await askOver(net.connect(tcp, '127.0.0.1'));
      assert.deepEqual(
        targets.map(({ seen }, i) => seen.length - (before[i] ?? 0)),
        [2, 2, 2],
      );
    }));

  test('of which the one with the fewest open streams is taken', () =>
    withInstances('least-streams', async ({ server }) => {
      const busy = await Promise.all(Array.from({ length: 4 }, () => server.dial('one.www.example.com')));
      const more = await Promise.all(Array.from({ length: 2 }, () => server.dial('two.www.example.com')));
      const names = [];
      for (let i = 0; i < 2; i += 1) {
        names.push(await askOver(await server.dial('www.example.com')));
      }
      assert.deepEqual(names, ['three', 'three']);
      for (const stream of [...busy, ...more]) stream.destroy();
    }));

  test('are taken by chance, where that is wanted: all, and in no order', () =>
    withInstances('random', async ({ server }) => {
      const names: string[] = [];
      for (let i = 0; i < 60; i += 1) names.push(await askOver(await server.dial('www.example.com')));
      assert.deepEqual(new Set(names), new Set(['one', 'two', 'three']));
      // Turns have no repetition; of 60 chances without one, (2/3)^59 is less than one in ten thousand million.
      assert.ok(names.some((name, i) => name === names[i - 1]));
    }));

  test('can be reached one by one', () =>
    withInstances('round-robin', async ({ server }) => {
      for (const name of ['one', 'two', 'three', 'two', 'two']) {
        assert.equal(await askOver(await server.dial(`${name}.www.example.com`)), name);
      }
      await assert.rejects(server.dial('four.www.example.com'), { code: 'domain-unserved' });
    }));

  test('stand in for one whose target refuses, before a byte was sent', () =>
    withInstances('round-robin', async ({ ask, tcp }, [one]) => {
      await one?.close();
      const names: string[] = [];
      for (let i = 0; i < 6; i += 1) names.push((await ask<Told>('/', '--data', 'not twice')).target);
      for (let i = 0; i < 6; i += 1) names.push(await askOver(net.connect(tcp, '127.0.0.1')));
      assert.deepEqual(new Set(names), new Set(['two', 'three']));
    }));

  test('of which one leaves: what it has begun ends there, all else goes to the others', () =>
    withInstances('round-robin', async ({ server, agent, ask, agentEvents }) => {
      const begun = await server.dial('one.www.example.com');
      begun.write('GET / HTTP/1.1\r\nHost: x\r\n');
      const closing = agent.close();
      await eventually('the tunnel leaves', () => agentEvents.of('tunnel-draining').length > 0);
      for (let i = 0; i < 6; i += 1) assert.notEqual((await ask<Told>('/')).target, 'one');
      await assert.rejects(server.dial('one.www.example.com'), { code: 'domain-unserved' });
      begun.end('Connection: close\r\n\r\n');
      assert.match(await within('its answer', text(begun)), /"target":"one"/);
      await within('the end of the instance', closing);
    }));
});

test('a dial that no other instance can stand in for says what it met', async () => {
  const target = await startToldTarget('app');
  await withRouted({ keys: keysOf(target) }, async ({ server }) => {
    await target.close();
    await assert.rejects(server.dial('www.example.com'), { code: 'target-refused' });
  });
});

test('of those who come at once no more are let in than the agent allows', async () => {
  const target = await startToldTarget('app');
  try {
    await withRouted({ keys: `${keysOf(target)}, concurrency: 2` }, async ({ server }) => {
      const before = await server.dial('www.example.com');
      const dials = Array.from({ length: 2 }, () => server.dial('www.example.com'));
      const all = await within('an answer to each', Promise.allSettled(dials));
      const refused = all.filter((each) => each.status === 'rejected');
      assert.deepEqual(
        refused.map(({ reason }) => reason.code),
        ['stream-limit'],
      );
      for (const each of all) if (each.status === 'fulfilled') each.value.destroy();
      before.destroy();
    });
  } finally {
    await target.close();
  }
});

describe('a tunnel that is full of streams which are kept for HTTP visitors', () => {
  test('has room for TCP visitors all the same', async () => {
    const target = await startToldTarget('app');
    try {
      await withRouted({ keys: `${keysOf(target)}, concurrency: 2` }, async ({ curl, tcp, serverEvents }) => {
        const both = await Promise.all([curl('/'), curl('/')]);
        assert.deepEqual(
          both.map(({ status }) => status),
          [200, 200],
        );
        for (let i = 0; i < 3; i += 1) assert.equal(await askOver(net.connect(tcp, '127.0.0.1')), 'app');
        const held = [net.connect(tcp, '127.0.0.1'), net.connect(tcp, '127.0.0.1')];
        for (const socket of held) {
          socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
          await within('an answer', once(socket, 'data'));
        }
        // Full of visitors who are there: nobody gives way.
        const late = net.connect(tcp, '127.0.0.1');
        const [error] = await within('a reset', once(late, 'error'));
        assert.equal(error.code, 'ECONNRESET');
        await serverEvents.wait('access', ({ record }) => record.reason === 'stream-limit');
        for (const socket of held) socket.destroy();
      });
    } finally {
      await target.close();
    }
  });
});
