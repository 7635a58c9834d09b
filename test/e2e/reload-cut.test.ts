import assert from 'node:assert/strict';
import { createConnection, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import {
  type AgentDomainOptions,
  BackdialError,
  createAgent,
  type DomainOptions,
  Secret,
  type ServerOptions,
} from '../../src/index.ts';
import { testCertificate } from '../support/certificates.ts';
import { type EchoTarget, greetingOf, startEchoTarget } from '../support/echo-target.ts';
import { EventLog } from '../support/event-log.ts';
import { steadyPort } from '../support/steady-port.ts';
import { testDomain } from '../support/with-agent.ts';
import { withServer } from '../support/with-server.ts';
import { eventually, within } from '../support/within.ts';

const ONE = new Secret('the first secret of enough bytes');
const TWO = new Secret('the second secret of enough bytes');
/** Of ONE, with the least rounds that are allowed. */
const HASH_OF_ONE = new Secret(
  '$6$rounds=1000$saltsaltsalt$a1wjS9dVQsXJ2/crcfVyZV68uW4sleqm2f311/4iXL26lgYEI9oIV9dv9vuGTJAgNfbjy.IWXidcGGos8gXGJ1',
);
const HASH_OF_NONE = new Secret(`$6$rounds=5000$saltsaltsalt$${'a'.repeat(85)}.`);
/** An issue asks for 5 s; the rest is for busy machines. */
const CUT_MS = 20_000;

interface Scene {
  readonly events: EventLog;
  readonly agentEvents: EventLog;
  readonly target: EchoTarget;
  readonly options: (domains: readonly DomainOptions[]) => ServerOptions;
  apply(domains: readonly DomainOptions[]): Promise<void>;
  /** A stream that is open in the tunnel of a domain. */
  open(domain: string): Promise<Duplex>;
}

/** A server with two domains, and one agent that serves both, each with one tunnel. */
async function withScene(domains: readonly DomainOptions[], body: (scene: Scene) => Promise<void>): Promise<void> {
  const target = await startEchoTarget('target');
  await withServer({ domains }, async ({ server, events, port }) => {
    const agentEvents = new EventLog();
    const { cert, key } = testCertificate();
    const options = (next: readonly DomainOptions[]): ServerOptions => ({
      listen: [{ host: '127.0.0.1', port: 0 }],
      certificates: [{ hosts: ['*'], cert, key }],
      name: 'node-1',
      domains: next,
    });
    const served = domains.map(
      ({ name }): AgentDomainOptions =>
        testDomain({ name, secret: ONE, remote: [`127.0.0.1:${port}`], target: target.address }),
    );
    const agent = createAgent({ domains: served, observer: agentEvents.observer });
    try {
      agent.start();
      await within('the agent', agent.ready);
      await events.until('tunnel-opened', domains.length);
      await body({
        events,
        agentEvents,
        target,
        options,
        apply: async (next) => {
          const { failures } = await server.apply(options(next));
          assert.deepEqual(failures, []);
        },
        open: async (domain) => {
          const stream = await server.dial(domain);
          stream.on('error', () => {});
          assert.equal(await greetingOf(stream), 'target');
          return stream;
        },
      });
    } finally {
      await agent.close({ drainMs: 0 });
    }
  });
  target.close();
}

const domain = (name: string, given: Partial<DomainOptions> = {}): DomainOptions => ({
  name,
  secrets: [ONE],
  ...given,
});

function codeOf(error: Error | null): string | null {
  return error instanceof BackdialError ? error.code : null;
}

/** The tunnel of the domain was cut in time, and nothing else was. */
async function assertOnlyCut({ events, agentEvents }: Scene, name: string): Promise<void> {
  const closed = await events.wait('tunnel-closed', () => true, { deadlineMs: CUT_MS });
  assert.equal(closed.tunnel.domain, name);
  assert.equal(closed.reason, 'removed');
  await agentEvents.wait('dial-failed', ({ reason }) => reason === 'handshake-refused');
  assert.deepEqual(
    events.of('tunnel-closed').map(({ tunnel }) => tunnel.domain),
    [name],
  );
}

describe('what let a tunnel in is taken away', () => {
  test('its domain: the tunnel and its streams are cut at once, the other domain is not touched', () =>
    withScene([domain('gone.test'), domain('kept.test')], async (scene) => {
      const [gone, kept] = [await scene.open('gone.test'), await scene.open('kept.test')];
      await scene.apply([domain('kept.test')]);
      await eventually('the cut of the stream', () => gone.errored !== null, CUT_MS);
      assert.equal(codeOf(gone.errored), 'domain-unknown');
      await assertOnlyCut(scene, 'gone.test');
      kept.write('still there?');
      assert.equal(await greetingOf(kept), 'still there?');
    }));

  test('its secret: the tunnel is cut, the other domain is not touched', () =>
    withScene([domain('gone.test'), domain('kept.test')], async (scene) => {
      const stream = await scene.open('gone.test');
      await scene.apply([domain('gone.test', { secrets: [TWO] }), domain('kept.test')]);
      await assertOnlyCut(scene, 'gone.test');
      await eventually('the cut of the stream', () => stream.errored !== null);
      assert.equal(codeOf(stream.errored), 'agent-lost');
    }));

  test('its secret, where a hash that fits no more has to be computed', () =>
    withScene([domain('gone.test'), domain('kept.test')], async (scene) => {
      await scene.apply([domain('gone.test', { secrets: [HASH_OF_NONE] }), domain('kept.test')]);
      await assertOnlyCut(scene, 'gone.test');
    }));

  test('its network', () =>
    withScene([domain('gone.test'), domain('kept.test')], async (scene) => {
      const networks = [{ address: '10.0.0.0', prefix: 8 }];
      await scene.apply([domain('gone.test', { networks }), domain('kept.test', { networks: [] })]);
      await assertOnlyCut(scene, 'gone.test');
    }));

  test('the wildcard that covered it', () =>
    withScene([domain('kept.test')], async (scene) => {
      await scene.apply([domain('*.test')]);
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(scene.events.of('tunnel-closed').length, 0);
      await scene.apply([domain('*.example')]);
      await assertOnlyCut(scene, 'kept.test');
    }));
});

describe('what let a tunnel in is still good', { concurrency: true }, () => {
  const stays: readonly (readonly [what: string, after: Partial<DomainOptions>])[] = [
    ['its secret among others', { secrets: [TWO, ONE] }],
    ['a hash of its secret, behind one that takes long', { secrets: [HASH_OF_NONE, HASH_OF_ONE] }],
    ['its network', { networks: [{ address: '127.0.0.0', prefix: 8 }] }],
    ['another limit', { concurrency: 7, balance: 'random' }],
  ];
  for (const [what, after] of stays) {
    test(`${what}: no tunnel is touched`, () =>
      withScene([domain('kept.test'), domain('gone.test')], async (scene) => {
        const stream = await scene.open('kept.test');
        await scene.apply([domain('kept.test', after), domain('gone.test')]);
        // Judged one after the other: once this one is cut, the other was judged.
        await scene.apply([domain('kept.test', after), domain('gone.test', { secrets: [HASH_OF_NONE] })]);
        await scene.events.wait('tunnel-closed');
        stream.write('still there?');
        assert.equal(await greetingOf(stream), 'still there?');
        await assertOnlyCut(scene, 'gone.test');
      }));
  }

  test('a secret that is rotated: old and new, the agent follows, the old one goes; nothing is lost', () =>
    withScene([domain('kept.test')], async (scene) => {
      await scene.apply([domain('kept.test', { secrets: [ONE, TWO] })]);
      assert.equal(scene.events.of('tunnel-closed').length, 0);
      await scene.apply([domain('kept.test', { secrets: [ONE] })]);
      assert.equal(scene.events.of('tunnel-closed').length, 0);
    }));
});

describe('a TCP port', () => {
  const connect = async (port: number): Promise<Socket> => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    assert.equal(await greetingOf(socket), 'target');
    return socket;
  };
  const closed = (socket: Socket) =>
    within('the cut', new Promise<void>((resolve) => socket.once('close', () => resolve())));

  test('that is taken away cuts its visitors; those of another port of the domain go on', async () => {
    const [stays, goes] = [
      { host: '127.0.0.1', port: await steadyPort() },
      { host: '127.0.0.1', port: await steadyPort() },
    ];
    await withScene([domain('db.test', { listen: [stays, goes] })], async (scene) => {
      const [kept, cut] = [await connect(stays.port), await connect(goes.port)];
      const end = closed(cut);
      await scene.apply([domain('db.test', { listen: [stays] })]);
      await end;
      kept.write('still there?');
      assert.equal(await greetingOf(kept), 'still there?');
      const record = await scene.events.wait('access', ({ record: { reason } }) => reason === 'domain-inactive');
      assert.equal(record.record.way, 'tcp');
      kept.destroy();
    });
  });

  test('follows the rules of its domain as they are when a visitor comes', async () => {
    const listen = [{ host: '127.0.0.1', port: await steadyPort() }];
    await withScene([domain('db.test', { listen })], async (scene) => {
      const before = await connect(listen[0]?.port ?? 0);
      await scene.apply([domain('db.test', { listen, clients: { networks: [{ address: '10.0.0.0', prefix: 8 }] } })]);
      const refused = createConnection({ port: listen[0]?.port ?? 0, host: '127.0.0.1' });
      refused.on('error', () => {});
      await closed(refused);
      before.write('still there?');
      assert.equal(await greetingOf(before), 'still there?');
      before.destroy();
    });
  });
});
