import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { VERSION } from '../../src/core/version.ts';
import { withFakeServer } from '../support/fake-server.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { testDomain, withAgent } from '../support/with-agent.ts';
import { eventually, within } from '../support/within.ts';

describe('an agent connects', () => {
  test('it says who it is, and is ready when each domain has a tunnel', () =>
    withFakeServer({}, async (server) => {
      const remote = [`localhost:${server.port}`];
      const one = testDomain({ remote, connections: 2 });
      const two = testDomain({ name: '*.dev.test', remote, identity: 'ci', secret: new Secret('pass:wörd') });
      await withAgent({ domains: [one, two] }, {}, async (agent, events) => {
        await within('ready', agent.ready);
        await server.untilLive(3);
        const [first] = server.handshakes.filter(({ head }) => head.domain === 'www.test');
        assert.equal(first?.request.headers.host, `localhost:${server.port}`);
        assert.equal(first?.head.version, `backdial/${VERSION}`);
        assert.equal(first?.head.instance, 'one');
        assert.equal(first?.credentials?.secret.reveal(), 'a secret of enough bytes');
        const [basic] = server.handshakes.filter(({ head }) => head.domain === '*.dev.test');
        assert.equal(basic?.credentials?.identity, 'ci');
        assert.equal(basic?.credentials?.secret.reveal(), 'pass:wörd');
        const slots = server.handshakes.filter(({ head }) => head.domain === 'www.test').map(({ head }) => head.slot);
        assert.deepEqual(slots.sort(), [0, 1]);
        const opened = await events.until('tunnel-opened', 3);
        assert.equal(opened[0]?.tunnel.node, 'fake');
        assert.deepEqual(
          agent.state().domains.map(({ links }) => links.map(({ state, node }) => `${state} ${node}`)),
          [['live fake', 'live fake'], ['live fake']],
        );
      });
    }));

  test('a server named by its IP address gets no SNI, one named by a host name does', () =>
    withFakeServer({}, async (server) => {
      const domains = [
        testDomain({ remote: [`127.0.0.1:${server.port}`] }),
        testDomain({ name: 'b.test', remote: [`localhost:${server.port}`] }),
      ];
      await withAgent({ domains }, {}, async (agent) => {
        await within('ready', agent.ready);
        assert.deepEqual(server.names.toSorted(), ['localhost', null]);
      });
    }));

  test('close before any tunnel rejects `ready` and leaves no connection', () =>
    withFakeServer({ answer: () => 'hang' }, async (server) => {
      await withAgent({ domains: [testDomain({ remote: [`localhost:${server.port}`] })] }, {}, async (agent) => {
        await eventually('a handshake', () => server.handshakes.length === 1);
        await within('close', agent.close({ drainMs: 0 }), 8_000);
        await assert.rejects(agent.ready, { code: 'dial-aborted' });
        await eventually('no connection', () => server.connectionCount === 0);
      });
    }));
});

describe('an agent whose server fails', () => {
  test('is back at once after a loss, then backs off, and starts anew only after a tunnel that lived', () =>
    withFakeServer({}, async (server) => {
      const domains = [testDomain({ remote: [`localhost:${server.port}`] })];
      await withAgent({ domains }, { steadyAfterMs: 300 }, async (agent, events) => {
        await within('ready', agent.ready);
        for (let round = 1; round <= 3; round += 1) {
          await server.untilLive(1);
          server.cutLinks();
          await events.until('tunnel-closed', round);
        }
        await server.untilLive(1);
        const [t1 = 0, t2 = 0, t3 = 0, t4 = 0] = server.handshakes.map(({ at }) => at);
        // Waits of 19 and 39 ms; TLS takes some of the rest. The second is twice the first.
        assert.ok(t3 - t2 >= 19, `second return after ${t3 - t2} ms`);
        assert.ok(t4 - t3 >= 39, `third return after ${t4 - t3} ms`);
        assert.ok(t2 > t1);
        assert.ok(events.of('tunnel-closed').every(({ reason }) => reason === 'lost'));
      });
    }));

  test('tells each failed dial: attempt, reason and the wait, and takes refusals for refusals', () =>
    withFakeServer({ answer: (_handshake, count) => (count <= 12 ? 404 : 'accept') }, async (server) => {
      const domains = [testDomain({ remote: [`localhost:${server.port}`] })];
      await withAgent({ domains }, {}, async (agent, events) => {
        await within('ready', agent.ready);
        const failed = events.of('dial-failed');
        assert.deepEqual(
          failed.map(({ attempt }) => attempt),
          [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        );
        assert.ok(failed.every(({ reason, detail }) => reason === 'handshake-refused' && detail.includes('404')));
        // 20, 40, 80, 160 and then the cap of 200; from the tenth refusal on the longer cap.
        const waits = failed.map(({ retryInMs }) => retryInMs);
        assert.deepEqual(waits, [19, 39, 79, 159, 199, 199, 199, 199, 199, 399, 399, 399]);
        assert.equal(failed[0]?.address, `127.0.0.1:${server.port}`);
      });
    }));

  test(
    'a server that never answers is given up after the deadline, and named',
    undisturbed(() =>
      withFakeServer({ answer: (_handshake, count) => (count === 1 ? 'hang' : 'accept') }, async (server) => {
        const domains = [testDomain({ remote: [`localhost:${server.port}`] })];
        await withAgent({ domains }, { handshakeTimeoutMs: 300 }, async (agent, events) => {
          await within('ready', agent.ready);
          const [failed] = events.of('dial-failed');
          assert.equal(failed?.reason, 'handshake-timeout');
          await eventually('the silent connection is closed', () => server.connectionCount === 1);
        });
      }),
    ),
  );

  test('one link that fails holds up no other', () =>
    withFakeServer({}, async (server) => {
      const remote = [`localhost:1`, `localhost:${server.port}`];
      await withAgent({ domains: [testDomain({ remote })] }, {}, async (agent, events) => {
        await within('ready', agent.ready);
        const failed = await events.until('dial-failed', 3);
        assert.ok(
          failed.every(({ server: name, reason }) => name === 'localhost:1' && reason === 'server-unreachable'),
        );
        assert.equal(server.live.length, 1);
      });
    }));
});

describe('an agent that is told to go', () => {
  test('a GOAWAY makes it dial again while the old tunnel drains', () =>
    withFakeServer({}, async (server) => {
      const domains = [testDomain({ remote: [`localhost:${server.port}`] })];
      await withAgent({ domains }, {}, async (agent, events) => {
        await within('ready', agent.ready);
        await server.untilLive(1);
        server.live[0]?.drain('drained', 5_000);
        await eventually('a second handshake', () => server.handshakes.length === 2);
        const [closed] = await events.until('tunnel-closed');
        assert.equal(closed?.reason, 'peer-drained');
      });
    }));

  test('one that was replaced warns and waits the cap in full', () =>
    withFakeServer({}, async (server) => {
      const domains = [testDomain({ remote: [`localhost:${server.port}`] })];
      await withAgent({ domains }, {}, async (agent, events) => {
        await within('ready', agent.ready);
        await server.untilLive(1);
        const replacedAt = performance.now();
        server.live[0]?.drain('replaced', 5_000);
        await eventually('a second handshake', () => server.handshakes.length === 2);
        const waited = (server.handshakes[1]?.at ?? 0) - replacedAt;
        assert.ok(waited >= 195, `dialled again after ${waited} ms`);
        const [warning] = events.of('warning');
        assert.equal(warning?.code, 'instance-replaced');
        assert.match(warning?.message ?? '', /"one" \(slot 0\)/);
        assert.equal(events.of('tunnel-closed')[0]?.reason, 'replaced');
      });
    }));
});

describe('a server of several processes', () => {
  test('is dialled until each process has a tunnel', () => {
    const order = ['n/1', 'n/1', 'n/1', 'n/2', 'n/1', 'n/3'];
    return withFakeServer({ workers: 3, node: (count) => order[count - 1] ?? 'n/1' }, async (server) => {
      const domains = [testDomain({ remote: [`localhost:${server.port}`] })];
      await withAgent({ domains }, {}, async (agent) => {
        const nodes = () => agent.state().domains[0]?.links.map(({ node }) => node);
        await eventually('a tunnel to each', () => nodes()?.toSorted().join() === 'n/1,n/2,n/3');
        await server.untilLive(3);
      });
    });
  });

  test('is not dialled for ever where one cannot be reached', () =>
    withFakeServer({ workers: 2, node: () => 'n/1' }, async (server) => {
      const domains = [testDomain({ remote: [`localhost:${server.port}`] })];
      await withAgent({ domains }, {}, async (_agent, events) => {
        await events.until('tunnel-opened', 18);
        await server.untilLive(2);
        // A tunnel that is dialled again says so (GOAWAY) as soon as it is open, before it answers anything.
        for (const tunnel of server.live) {
          await assert.rejects(tunnel.open('www.test', { way: 'https', transaction: 'x' }), { code: 'target-refused' });
        }
        assert.equal(server.live.length, 2);
        assert.equal(server.handshakes.length, 18);
      });
    }));
});
