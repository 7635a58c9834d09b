import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { type FakeServer, type FakeServerOptions, withFakeServer } from '../support/fake-server.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { testDomain, withAgent } from '../support/with-agent.ts';
import { eventually, within } from '../support/within.ts';

const NEW_SECRET = new Secret('a newer secret of enough bytes');

function remoteOf(server: FakeServer): string[] {
  return [`127.0.0.1:${server.port}`];
}

/** The target that a new stream reaches, told by what it answers. */
async function reached(server: FakeServer, domain = 'www.test'): Promise<string> {
  const tunnel = server.live.find((each) => each.domain === domain);
  assert.ok(tunnel !== undefined);
  const stream = await tunnel.open(domain, { way: 'https', transaction: 'x' });
  const [answer] = (await within('an answer', stream.take(1).toArray())) as Buffer[];
  stream.destroy();
  return String(answer);
}

/** A target that says who it is. */
async function startTarget(answer: string) {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.write(answer);
  });
  const close = closerOf(server);
  return { port: await listenOn(server), close };
}

describe('an agent goes over to other options', () => {
  test('another target is that of the streams to come, no tunnel is lost', () =>
    withFakeServer({}, async (server) => {
      const [one, two] = [await startTarget('one'), await startTarget('two')];
      const at = (port: number) =>
        testDomain({ remote: remoteOf(server), target: { kind: 'tcp', host: '127.0.0.1', port } });
      await withAgent({ domains: [at(one.port)] }, {}, async (agent, events) => {
        await within('ready', agent.ready);
        await events.until('tunnel-opened', 1);
        assert.equal(await reached(server), 'one');
        const [tunnel] = server.live;
        const epoch = tunnel?.epoch ?? assert.fail();
        const { changes } = await agent.apply({ domains: [at(two.port)] });
        assert.deepEqual(changes, [{ what: 'domain', action: 'changed', name: 'www.test', keys: ['targets'] }]);
        assert.equal(await reached(server), 'two');
        assert.equal(tunnel?.epoch, epoch + 1, 'no kept stream leads to the former one');
        assert.equal(server.handshakes.length, 1);
        assert.equal(events.of('tunnel-closed').length, 0);
      });
      await Promise.all([one.close(), two.close()]);
    }));

  test('another secret makes new tunnels before the old ones go, under other slots', () =>
    withFakeServer({}, async (server) => {
      const domain = testDomain({ remote: remoteOf(server), connections: 2 });
      await withAgent({ domains: [domain] }, {}, async (agent, events) => {
        await events.until('tunnel-opened', 2);
        let least = 2;
        const watch = setInterval(() => {
          least = Math.min(least, server.live.length);
        }, 1);
        watch.unref();
        await agent.apply({ domains: [{ ...domain, secret: NEW_SECRET }] });
        await events.until('tunnel-closed', 2);
        clearInterval(watch);
        assert.equal(least, 2);
        await server.untilLive(2);
        const last = server.handshakes.slice(2);
        assert.deepEqual(
          last.map(({ credentials }) => credentials?.secret.reveal()),
          Array(2).fill(NEW_SECRET.reveal()),
        );
        assert.deepEqual(last.map(({ head }) => head.slot).toSorted(), [2, 3]);
        assert.deepEqual(
          events.of('tunnel-closed').map(({ reason }) => reason),
          ['drained', 'drained'],
        );
        assert.equal(events.of('warning').length, 0);
      });
    }));

  test('a secret that the server refuses costs no tunnel; one that it takes, put right later, replaces them', async () => {
    const refusing = new Set<string>();
    const answer: FakeServerOptions['answer'] = ({ credentials }) =>
      refusing.has(credentials?.secret.reveal() ?? '') ? 404 : 'accept';
    await withFakeServer({ answer }, async (server) => {
      const domain = testDomain({ remote: remoteOf(server) });
      refusing.add(NEW_SECRET.reveal());
      await withAgent({ domains: [domain] }, {}, async (agent, events) => {
        await events.until('tunnel-opened', 1);
        await agent.apply({ domains: [{ ...domain, secret: NEW_SECRET }] });
        await events.until('dial-failed', 3);
        assert.equal(server.live.length, 1);
        refusing.clear();
        await events.until('tunnel-opened', 2);
        await events.until('tunnel-closed', 1);
        await server.untilLive(1);
      });
    });
  });

  test('a secret that was wrong from the start is not dialled with any more', async () => {
    await withFakeServer({ answer: () => 404 }, async (server) => {
      const domain = testDomain({ remote: remoteOf(server) });
      await withAgent({ domains: [domain] }, {}, async (agent, events) => {
        await events.until('dial-failed', 2);
        await agent.apply({ domains: [{ ...domain, secret: NEW_SECRET }] });
        const secrets = () => server.handshakes.map(({ credentials }) => credentials?.secret.reveal());
        const isNew = (secret: string | undefined) => secret === NEW_SECRET.reveal();
        await eventually('a dial with the new secret', () => secrets().some(isNew));
        // Who is refused waits ever longer: by the sixth dial more whoever else is left has dialled, too.
        await events.until('dial-failed', events.of('dial-failed').length + 6);
        assert.ok(secrets().slice(secrets().findIndex(isNew)).every(isNew), 'the old secret was dialled with');
      });
    });
  });

  test('an address that cannot be reached holds the old tunnels up for a handshake at most', () =>
    withFakeServer({}, (reachable) =>
      withFakeServer({ answer: () => 'hang' }, async (silent) => {
        const domain = testDomain({ remote: remoteOf(reachable) });
        await withAgent({ domains: [domain] }, { handshakeTimeoutMs: 300 }, async (agent, events) => {
          await within('ready', agent.ready);
          const remote = [...remoteOf(reachable), ...remoteOf(silent)];
          await agent.apply({ domains: [{ ...domain, remote, secret: NEW_SECRET }] });
          await events.until('tunnel-closed', 1);
          await reachable.untilLive(1);
        });
      }),
    ));

  test('a domain that is gone drains, one that came is served, the others are not touched', () =>
    withFakeServer({}, async (server) => {
      const [kept, gone, added] = ['kept.test', 'gone.test', 'added.test'].map((name) =>
        testDomain({ name, remote: remoteOf(server) }),
      );
      assert.ok(kept !== undefined && gone !== undefined && added !== undefined);
      await withAgent({ domains: [kept, gone] }, {}, async (agent, events) => {
        await events.until('tunnel-opened', 2);
        await agent.apply({ domains: [kept, added] });
        await eventually('the domains', () => {
          const live = server.live.map(({ domain }) => domain).toSorted();
          return live.join() === 'added.test,kept.test';
        });
        await events.until('tunnel-closed');
        assert.deepEqual(
          events.of('tunnel-closed').map(({ tunnel }) => tunnel.domain),
          ['gone.test'],
        );
        assert.deepEqual(
          agent.state().domains.map(({ name }) => name),
          ['kept.test', 'added.test'],
        );
      });
    }));

  test('no domain at all is possible, and one that is put back is served again', () =>
    withFakeServer({}, async (server) => {
      const domain = testDomain({ remote: remoteOf(server) });
      await withAgent({ domains: [domain] }, {}, async (agent) => {
        await within('ready', agent.ready);
        await agent.apply({ domains: [] });
        await server.untilLive(0);
        await agent.apply({ domains: [domain] });
        await server.untilLive(1);
      });
    }));

  test('a domain that is gone before it had a tunnel keeps nobody waiting', () =>
    withFakeServer({}, async (server) => {
      const good = testDomain({ remote: remoteOf(server) });
      const bad = testDomain({ name: 'bad.test', remote: ['127.0.0.1:1'] });
      await withAgent({ domains: [good, bad] }, {}, async (agent, events) => {
        await events.wait('dial-failed', ({ domain }) => domain === 'bad.test');
        await events.until('tunnel-opened', 1);
        await agent.apply({ domains: [good] });
        await within('ready', agent.ready);
      });
    }));

  test('what is invalid changes nothing', () =>
    withFakeServer({}, async (server) => {
      const domain = testDomain({ remote: remoteOf(server) });
      await withAgent({ domains: [domain] }, {}, async (agent) => {
        await within('ready', agent.ready);
        const wrong = { domains: [{ ...domain, secret: NEW_SECRET }, testDomain({ name: 'b.test', connections: 0 })] };
        await assert.rejects(agent.apply(wrong), { code: 'config-invalid' });
        assert.equal(server.handshakes.length, 1);
        assert.equal(agent.state().domains.length, 1);
      });
    }));

  test('the end is awaited of what was replaced and of what was taken away', () =>
    withFakeServer({}, async (server) => {
      const domain = testDomain({ remote: remoteOf(server) });
      const gone = testDomain({ name: 'gone.test', remote: remoteOf(server) });
      await withAgent({ domains: [domain, gone] }, {}, async (agent, events) => {
        await events.until('tunnel-opened', 2);
        await agent.apply({ domains: [{ ...domain, secret: NEW_SECRET }] });
        await events.until('tunnel-opened', 3);
        await agent.close({ drainMs: 0 });
        assert.equal(events.of('tunnel-closed').length, 3);
        await assert.rejects(agent.apply({ domains: [domain] }), { code: 'dial-aborted' });
      });
    }));
});
