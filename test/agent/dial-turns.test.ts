import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DialTurns } from '../../src/agent/dial-turns.ts';
import { withFakeServer } from '../support/fake-server.ts';
import { testDomain, withAgent } from '../support/with-agent.ts';
import { eventually, within } from '../support/within.ts';

function routeTo(address: string, name = 'server.test') {
  return { remote: { host: name, port: 443, label: `${name}:443` }, address, proxy: null };
}

describe('dials to one server address', () => {
  test('of many domains are not all under way at once, and all come through', () =>
    withFakeServer({ answer: (_handshake, count) => (count <= 2 ? 'hang' : 'accept') }, async (server) => {
      const remote = [`127.0.0.1:${server.port}`];
      const domains = Array.from({ length: 6 }, (_, i) => testDomain({ name: `d${i}.test`, remote }));
      const internals = { dialsPerAddress: 2, handshakeTimeoutMs: 2_000 };
      await withAgent({ domains }, internals, async (agent, events) => {
        await eventually('two handshakes', () => server.handshakes.length === 2);
        const links = agent.state().domains.flatMap((domain) => domain.links.map(({ state }) => state));
        assert.deepEqual(links.toSorted(), ['dialling', 'dialling', 'waiting', 'waiting', 'waiting', 'waiting']);
        await within('ready', agent.ready);
        // The time of a handshake does not run before its turn: nobody else was late.
        assert.equal(events.of('dial-failed').length, 2);
        assert.equal(server.live.length, 6);
      });
    }));

  test('that does not answer hold up none to another', () =>
    withFakeServer({ answer: () => 'hang' }, (dead) =>
      withFakeServer({}, async (server) => {
        const names = Array.from({ length: 4 }, (_, i) => `d${i}.test`);
        const remote = [`127.0.0.1:${dead.port}`, `127.0.0.1:${server.port}`];
        const domains = names.map((name) => testDomain({ name, remote }));
        await withAgent({ domains }, { dialsPerAddress: 1 }, async (agent) => {
          await within('ready', agent.ready);
          assert.equal(dead.handshakes.length, 1);
        });
      }),
    ));

  test('go in the order in which they came, whatever name led there; who gives up leaves no gap', async () => {
    const turns = new DialTurns(1);
    const stay = new AbortController().signal;
    const gaveUp = new AbortController();
    const first = Promise.withResolvers<void>();
    const order: string[] = [];
    const note = async (name: string) => void order.push(name);
    const all = [turns.during(routeTo('192.0.2.1'), stay, () => first.promise)];
    const second = turns.during(routeTo('192.0.2.1', 'other.test'), gaveUp.signal, () => note('second'));
    for (const name of ['third', 'fourth']) all.push(turns.during(routeTo('192.0.2.1'), stay, () => note(name)));
    await turns.during(routeTo('192.0.2.2'), stay, () => note('elsewhere'));
    gaveUp.abort(new Error('gone'));
    await assert.rejects(second, { message: 'gone' });
    assert.deepEqual(order, ['elsewhere']);
    first.resolve();
    await Promise.all(all);
    assert.deepEqual(order, ['elsewhere', 'third', 'fourth']);
    await assert.rejects(
      turns.during(routeTo('192.0.2.1'), gaveUp.signal, () => note('late')),
      { message: 'gone' },
    );
  });
});
