import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connect } from 'node:tls';
import {
  type AgentDomainOptions,
  createAgent,
  type DomainOptions,
  type IdentityOptions,
  Secret,
  type ServerOptions,
} from '../../src/index.ts';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { greetingOf, startEchoTarget } from '../support/echo-target.ts';
import type { EventLog } from '../support/event-log.ts';
import { testDomain } from '../support/with-agent.ts';
import { withServer } from '../support/with-server.ts';
import { within } from '../support/within.ts';

const CI = new Secret('the secret of the identity');
const OWN = new Secret('a secret of enough bytes');
/** What an issue asks for. */
const CUT_MS = 20_000;

const DOMAINS: readonly DomainOptions[] = [
  { name: 'www.test', secrets: [OWN], grants: { domains: ['beside.test'] } },
  { name: '*.wild.test', secrets: [OWN], unavailableStatus: 503 },
  { name: 'own.wild.test', secrets: [CI] },
];
const GRANTS: readonly IdentityOptions[] = [
  { identity: 'ci', secrets: [CI], domains: ['*.dev.test', 'a.wild.test', 'off.test'] },
];

interface Scene {
  readonly events: EventLog;
  readonly port: number;
  apply(options: Partial<ServerOptions>): Promise<void>;
  /** An agent that claims, until the test ends; resolves with how its first handshake ended. */
  claim(options: Partial<AgentDomainOptions>): Promise<string>;
  /** What the target behind a name says. */
  greeting(name: string): Promise<string>;
}

async function withScene(body: (scene: Scene) => Promise<void>): Promise<void> {
  const target = await startEchoTarget('target');
  const { cert, key } = testCertificate();
  const base = { domains: DOMAINS, grants: GRANTS, inactive: ['off.test'] };
  await withServer(base, async ({ server, events, port }) => {
    const agents: { close(options: { drainMs: number }): Promise<void> }[] = [];
    try {
      await body({
        events,
        port,
        async apply(options) {
          const listen = [{ host: '127.0.0.1', port: 0 }];
          await server.apply({
            listen,
            certificates: [{ hosts: ['*'], cert, key }],
            name: 'node-1',
            ...base,
            ...options,
          });
        },
        async claim(options) {
          const from = events.all.length;
          const served = testDomain({ remote: [`127.0.0.1:${port}`], target: target.address, ...options });
          const agent = createAgent({ domains: [served] });
          agents.push(agent);
          agent.start();
          const isMine = (domain: string | null) => domain === served.name;
          return Promise.race([
            events.wait('tunnel-opened', (event) => isMine(event.tunnel.domain), { from }).then(() => 'opened'),
            events
              .wait('handshake-refused', (event) => isMine(event.domain), { from })
              .then(({ reason, detail }) => `${reason}: ${detail}`),
          ]);
        },
        async greeting(name) {
          const stream = await server.dial(name);
          stream.on('error', () => {});
          const text = await greetingOf(stream);
          stream.destroy();
          return text;
        },
      });
    } finally {
      for (const agent of agents) await agent.close({ drainMs: 0 });
      target.close();
    }
  });
}

/** A handshake as it is written here; the status of its answer. */
async function handshake(port: number, lines: readonly string[]): Promise<string> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    ca: testAuthority().cert,
    checkServerIdentity: () => undefined,
    servername: 'www.test',
    ALPNProtocols: ['http/1.1'],
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.on('error', reject);
  socket.on('data', (chunk: Buffer) => resolve(chunk.toString('latin1').slice(9, 12)));
  const head = [
    'GET /.well-known/backdial-agent HTTP/1.1',
    'Connection: Upgrade',
    'Upgrade: ptth',
    'ALPN: h2',
    ...lines,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  return within('an answer', promise).finally(() => socket.destroy());
}

const basic = (identity: string, secret: Secret) =>
  `Authorization: Basic ${Buffer.from(`${identity}:${secret.reveal()}`).toString('base64')}`;

describe('a claim by a grant', () => {
  test('of an identity: its names are served without a file, ruled by the wildcard file that covers them, else by the defaults', () =>
    withScene(async ({ claim, greeting }) => {
      assert.equal(await claim({ name: 'a.dev.test', identity: 'ci', secret: CI }), 'opened');
      assert.equal(await greeting('a.dev.test'), 'target');
      assert.equal(await greeting('one.a.dev.test'), 'target');
      assert.equal(await claim({ name: 'a.wild.test', identity: 'ci', secret: CI }), 'opened');
      assert.equal(await claim({ name: '*.dev.test', identity: 'ci', secret: CI }), 'opened');
      assert.equal(await greeting('b.dev.test'), 'target');
    }));

  test('that no grant allows is refused, and the log names the grant that is missing', () =>
    withScene(async ({ claim }) => {
      const missing = (name: string) =>
        `claim-refused: no grant lets this agent claim the name: no grant of \`domains\` allows ${name} to identity ci`;
      assert.equal(await claim({ name: 'www.test', identity: 'ci', secret: CI }), missing('www.test'));
      assert.equal(await claim({ name: 'b.wild.test', identity: 'ci', secret: CI }), missing('b.wild.test'));
      assert.match(await claim({ name: 'b.a.dev.test', identity: 'ci', secret: CI }), /^domain-unknown/);
      assert.match(await claim({ name: 'off.test', identity: 'ci', secret: CI }), /^domain-inactive/);
      assert.match(await claim({ name: 'a.dev.test', identity: 'ci', secret: OWN }), /^secret-wrong/);
      assert.match(await claim({ name: 'a.dev.test', identity: 'other', secret: CI }), /^secret-wrong/);
      assert.match(await claim({ name: 'a.dev.test', secret: CI }), /^secret-wrong/);
    }));

  test("of who serves a domain: beside it what its file grants, a wildcard's any name without a file", () =>
    withScene(async ({ claim, greeting }) => {
      assert.equal(await claim({ name: 'beside.test', identity: 'www.test', secret: OWN }), 'opened');
      assert.equal(await greeting('beside.test'), 'target');
      assert.equal(await claim({ name: 'any.wild.test', secret: OWN }), 'opened');
      assert.equal(await claim({ name: 'other.wild.test', identity: '*.wild.test', secret: OWN }), 'opened');
      assert.match(await claim({ name: 'own.wild.test', secret: OWN }), /^secret-wrong/);
      assert.match(await claim({ name: 'own.wild.test', identity: '*.wild.test', secret: OWN }), /^claim-refused/);
      assert.match(await claim({ name: 'a.dev.test', identity: 'www.test', secret: OWN }), /^claim-refused/);
    }));

  test('needs no Backdial-Domain: the user name of Basic is the domain, without one the host', () =>
    withScene(async ({ port, events }) => {
      assert.equal(await handshake(port, ['Host: x', basic('www.test', OWN)]), '101');
      assert.equal(await handshake(port, [`Host: www.test:${port}`, `Authorization: Bearer ${OWN.reveal()}`]), '101');
      assert.equal(await handshake(port, ['Host: x', basic('ci', CI), 'Backdial-Domain: c.dev.test']), '101');
      const opened = await events.until('tunnel-opened', 3);
      assert.deepEqual(
        opened.map(({ tunnel }) => tunnel.domain),
        ['www.test', 'www.test', 'c.dev.test'],
      );
      assert.equal(await handshake(port, ['Host: x', basic('ci', CI)]), '404');
      assert.equal((await events.until('handshake-refused'))[0]?.reason, 'domain-unknown');
    }));

  test('is cut when its grant, its identity or its secret is taken away, and nothing else is', () =>
    withScene(async ({ claim, apply, events, greeting }) => {
      await claim({ name: 'a.dev.test', identity: 'ci', secret: CI });
      await claim({ name: 'a.wild.test', identity: 'ci', secret: CI });
      await claim({ name: 'www.test', secret: OWN });
      await claim({ name: 'beside.test', identity: 'www.test', secret: OWN });
      const [ci] = GRANTS;
      const gone = (name: string) =>
        events.wait('tunnel-closed', ({ tunnel }) => tunnel.domain === name, { deadlineMs: CUT_MS });
      await apply({ grants: [{ ...(ci as IdentityOptions), domains: ['*.dev.test'] }] });
      assert.equal((await gone('a.wild.test')).reason, 'removed');
      await apply({ grants: [{ ...(ci as IdentityOptions), domains: ['*.dev.test'], secrets: [OWN] }] });
      await gone('a.dev.test');
      await apply({ grants: [], domains: DOMAINS.map(({ grants, ...domain }) => domain) });
      await gone('beside.test');
      await assert.rejects(greeting('beside.test'), { code: 'domain-unknown' });
      assert.equal(await greeting('www.test'), 'target');
      const closed = events.of('tunnel-closed').map(({ tunnel }) => tunnel.domain);
      assert.deepEqual(closed.toSorted(), ['a.dev.test', 'a.wild.test', 'beside.test']);
    }));

  test('lives on while only other grants change', () =>
    withScene(async ({ claim, apply, events, greeting }) => {
      await claim({ name: 'a.dev.test', identity: 'ci', secret: CI });
      const [ci] = GRANTS;
      await apply({
        grants: [{ identity: 'new', secrets: [OWN], connect: [{ name: '*', ports: null }] }, ci as IdentityOptions],
      });
      await apply({ grants: [{ ...(ci as IdentityOptions), ports: [{ first: 1, last: 2 }] }] });
      assert.equal(await greeting('a.dev.test'), 'target');
      assert.deepEqual(events.of('tunnel-closed'), []);
    }));
});
