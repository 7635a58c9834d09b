import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAgent } from '../../src/index.ts';
import { EventLog } from '../support/event-log.ts';
import { testDomain } from '../support/with-agent.ts';
import { startServer } from '../support/with-server.ts';
import { eventually, within } from '../support/within.ts';

/** The promise is 5 s; the rest is for busy machines. */
const BACK_WITHIN_MS = 15_000;

test('agents are back within 5 s of the return of their server, after a back-off with jitter', async () => {
  const first = await startServer();
  const events = new EventLog();
  const domain = testDomain({ remote: [`localhost:${first.port}`], connections: 4 });
  const agent = createAgent({ domains: [domain], observer: events.observer });
  let second: Awaited<ReturnType<typeof startServer>> | null = null;
  try {
    agent.start();
    await within('ready', agent.ready);
    await eventually('four tunnels', () => first.server.tunnels().length === 4);
    await first.close();
    await events.until('tunnel-closed', 4);
    const failuresOf = (slot: number) => events.of('dial-failed').filter((event) => event.slot === slot);
    await eventually('three failures of each', () => [0, 1, 2, 3].every((slot) => failuresOf(slot).length >= 3));
    const failed = events.of('dial-failed');

    second = await startServer({}, first.port);
    const { server } = second;
    await eventually('four tunnels again', () => server.tunnels().length === 4, BACK_WITHIN_MS);

    // Each of the four has tried at once and again after waits of its own, drawn below a bound that doubles from 250 ms.
    for (const slot of [0, 1, 2, 3]) {
      const mine = failed.filter((event) => event.slot === slot);
      assert.ok(mine.length >= 2, `slot ${slot} has failed ${mine.length} times`);
      for (const { attempt, retryInMs, reason } of mine) {
        assert.equal(reason, 'server-unreachable');
        assert.ok(retryInMs <= Math.min(4_000, 250 * 2 ** (attempt - 1)), `attempt ${attempt}: ${retryInMs} ms`);
      }
    }
    const waits = new Set(failed.map(({ retryInMs }) => retryInMs).filter((wait) => wait > 0));
    assert.ok(waits.size > 4, 'the waits differ');
  } finally {
    await agent.close({ drainMs: 0 });
    await second?.close();
    await first.close();
  }
});

test('an agent that was told to go finds the next server while its streams on the old one end', async () => {
  const first = await startServer({ drainMs: 10_000 });
  const events = new EventLog();
  const domain = testDomain({ remote: [`localhost:${first.port}`] });
  const agent = createAgent({ domains: [domain], observer: events.observer });
  try {
    agent.start();
    await within('ready', agent.ready);
    const closing = first.server.close();
    const second = await startServer({}, first.port);
    try {
      await eventually('a tunnel to the next server', () => second.server.tunnels().length === 1, BACK_WITHIN_MS);
      await within('the old server is closed', closing);
      assert.equal(events.of('tunnel-closed')[0]?.reason, 'peer-drained');
    } finally {
      await second.close();
    }
  } finally {
    await agent.close({ drainMs: 0 });
    await first.close();
  }
});
