import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DialTurns } from '../../src/agent/dial-turns.ts';
import { DEFAULT_INTERNALS } from '../../src/agent/internals.ts';
import { Link } from '../../src/agent/link.ts';
import { resolveAgentOptions } from '../../src/agent/resolve-options.ts';
import { MemoryBudget } from '../../src/tunnel/memory-budget.ts';
import { EventLog } from '../support/event-log.ts';
import { withFakeServer } from '../support/fake-server.ts';
import { QUICK, testDomain } from '../support/with-agent.ts';
import { within } from '../support/within.ts';

test('a tunnel that is given up to reach another process drains as long as any other', (t) =>
  withFakeServer({}, async (server) => {
    const options = resolveAgentOptions({
      domains: [testDomain({ remote: [`localhost:${server.port}`] })],
      drainMs: 50,
    });
    const [domain] = options.domains;
    assert.ok(domain?.remotes[0]);
    const events = new EventLog();
    const link = new Link({
      domain,
      route: { remote: domain.remotes[0], address: '127.0.0.1', proxy: null },
      slot: 0,
      internals: { ...DEFAULT_INTERNALS, ...QUICK },
      settings: options,
      budget: new MemoryBudget(options),
      turns: new DialTurns(1),
      observer: events.observer,
      onStream: (stream) => void stream.accept({ readMs: 0, writeMs: 0 }),
      onLive: () => {},
      onLost: () => {},
    });
    t.after(() => link.stop(0));
    link.start();
    await server.untilLive(1);
    const stream = await server.live[0]?.open('www.test', { way: 'tcp', transaction: 'x' });
    assert.ok(stream);
    stream.on('error', () => {});
    const cut = new Promise((resolve) => stream.once('close', resolve));
    link.redial();
    // A handshake may take 10 s.
    await within('the stream is cut', cut, 8_000);
    assert.equal(events.of('tunnel-draining')[0]?.reason, 'drained');
  }));
