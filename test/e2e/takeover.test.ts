import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Agent, createAgent } from '../../src/index.ts';
import { type EchoTarget, greetingOf, startEchoTarget } from '../support/echo-target.ts';
import { EventLog } from '../support/event-log.ts';
import { FaultyLink } from '../support/faulty-link.ts';
import { testDomain } from '../support/with-agent.ts';
import { withServer } from '../support/with-server.ts';
import { eventually, within } from '../support/within.ts';

interface Running {
  readonly agent: Agent;
  readonly events: EventLog;
  readonly target: EchoTarget;
}

/** Starts an agent whose target says `name`. */
async function startAgent(name: string, port: number, instance: string): Promise<Running> {
  const target = await startEchoTarget(name);
  const events = new EventLog();
  const remote = [`localhost:${port}`];
  const domain = testDomain({ remote, instance, target: target.address });
  const agent = createAgent({ domains: [domain], observer: events.observer });
  agent.start();
  await within(`${name} is ready`, agent.ready);
  return { agent, events, target };
}

async function stop(...running: Running[]): Promise<void> {
  await Promise.all(running.map(({ agent }) => agent.close({ drainMs: 0 })));
  for (const { target } of running) target.close();
}

describe('a newer tunnel of the same domain, instance and slot', () => {
  test('takes over at once; the streams of the older one end in peace; the older agent warns and waits', () =>
    withServer({}, async ({ server, events }) => {
      const { port } = frontDoorOf(events);
      const old = await startAgent('old', port, 'one');
      const before = await server.dial('www.test');
      assert.equal(await greetingOf(before), 'old');
      const young = await startAgent('young', port, 'one');
      await old.events.until('warning');
      const after = await server.dial('www.test');
      assert.equal(await greetingOf(after), 'young');
      before.write('still there?');
      assert.equal(await greetingOf(before), 'still there?');
      before.end();
      const [closed] = await old.events.until('tunnel-closed');
      assert.equal(closed?.reason, 'replaced');
      assert.equal(old.events.of('warning')[0]?.code, 'instance-replaced');
      assert.equal(old.events.of('tunnel-opened').length, 1);
      assert.equal(server.tunnels().length, 1);
      after.end();
      await stop(old, young);
    }));

  test('does so too where the older agent is behind a black hole: nobody waits for its death', () =>
    withServer({}, async ({ server, port }) => {
      const link = await FaultyLink.to(port);
      const old = await startAgent('old', link.port, 'one');
      link.stall();
      const started = performance.now();
      const young = await startAgent('young', port, 'one');
      await eventually('the young tunnel is the only one', () => server.tunnels().length === 1);
      const stream = await server.dial('www.test');
      assert.equal(await greetingOf(stream), 'young');
      // Its death is known after 10 s.
      assert.ok(performance.now() - started < 8_000);
      stream.end();
      await stop(old, young);
      await link.close();
    }));
});

test('when one of two instances is cut off, the other has the domain within 2 s', () =>
  withServer({}, async ({ server, port }) => {
    const link = await FaultyLink.to(port);
    const one = await startAgent('one', link.port, 'one');
    const two = await startAgent('two', port, 'two');
    const greetings = new Set<string>();
    for (let i = 0; i < 4; i += 1) greetings.add(await greet(server));
    assert.deepEqual([...greetings].sort(), ['one', 'two']);
    const started = performance.now();
    link.reset();
    await eventually('one tunnel', () => server.tunnels().length === 1);
    assert.equal(await greet(server), 'two');
    // What it takes is some milliseconds; the rest is for busy machines.
    assert.ok(performance.now() - started < 8_000);
    await stop(one, two);
    await link.close();
  }));

async function greet(server: { dial(name: string): Promise<import('node:stream').Duplex> }): Promise<string> {
  const stream = await server.dial('www.test');
  const greeting = await greetingOf(stream);
  stream.end();
  return greeting;
}

function frontDoorOf(events: EventLog): { port: number } {
  const address = events.of('listening').find(({ purpose }) => purpose === 'front-door')?.address ?? '';
  return { port: Number(address.split(':').at(-1)) };
}
