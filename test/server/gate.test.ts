import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { Secret } from '../../src/core/secret.ts';
import { TunnelRegistry } from '../../src/registry/registry.ts';
import { DomainTable } from '../../src/server/domain-table.ts';
import { FailureLimiter } from '../../src/server/failure-limiter.ts';
import { type SecretCheck, TunnelGate } from '../../src/server/gate.ts';
import { resolveServerOptions } from '../../src/server/resolve-options.ts';
import { AccessControl } from '../../src/server/visitor-access.ts';
import { MemoryBudget } from '../../src/tunnel/memory-budget.ts';
import { SERVER_LIVENESS } from '../../src/tunnel/types.ts';
import { testCertificate } from '../support/certificates.ts';
import { EventLog } from '../support/event-log.ts';
import { tlsPair } from '../support/turned-pair.ts';

const SECRET = new Secret('a secret of enough bytes');

/** What an agent with `SECRET` sends. */
const HANDSHAKE = {
  method: 'GET',
  headers: { upgrade: 'ptth' },
  headersDistinct: { authorization: [`Bearer ${SECRET.reveal()}`], 'backdial-domain': ['www.test'] },
} as unknown as IncomingMessage;

/** A gate before one domain. */
function startGate(secrets: SecretCheck) {
  const { cert, key } = testCertificate();
  const events = new EventLog();
  const resolve = (secret: Secret) =>
    resolveServerOptions({
      listen: [{ host: '127.0.0.1', port: 0 }],
      certificates: [{ hosts: ['*'], cert, key }],
      domains: [{ name: 'www.test', secrets: [secret] }],
      observer: events.observer,
    });
  const options = resolve(SECRET);
  let table = new DomainTable(options.domains, ['off.test']);
  const registry = new TunnelRegistry();
  const gate = new TunnelGate({
    options,
    domains: () => table,
    registry,
    secrets,
    access: new AccessControl({ secrets, limiter: new FailureLimiter() }),
    liveness: SERVER_LIVENESS,
    budget: new MemoryBudget(options),
  });
  /** Another secret, or the same as another one. */
  const change = (secret: Secret) => {
    table = new DomainTable(resolve(secret).domains);
  };
  return { gate, registry, events, change };
}

/** The server's end of a connection with an agent. */
async function agentSocket(t: TestContext): Promise<TLSSocket> {
  const { serverTls, agentTls } = await tlsPair();
  t.after(() => {
    agentTls.destroy();
    serverTls.destroy();
  });
  agentTls.resume();
  return serverTls;
}

/** Checks secrets without hashing, and counts. */
function countingCheck() {
  const counted = { checks: 0 };
  const secrets: SecretCheck = {
    async check(candidate, list) {
      counted.checks += 1;
      return list.some((secret) => secret.equals(candidate));
    },
    recalls: () => false,
  };
  return { counted, secrets };
}

/** A gate where every secret is wrong, and how many were hashed. */
function gateOfWrongSecrets() {
  let hashed = 0;
  const { gate } = startGate({
    async check() {
      hashed += 1;
      return false;
    },
    recalls: () => false,
  });
  return { gate, hashed: () => hashed };
}

test('a handshake that is judged when the server begins to drain leaves no tunnel behind', async () => {
  const checked = Promise.withResolvers<boolean>();
  const { gate, registry } = startGate({ check: () => checked.promise, recalls: () => false });
  const written: string[] = [];
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, callback) {
      written.push(chunk.toString());
      callback();
    },
  });
  const admitted = gate.admit(HANDSHAKE, socket as unknown as TLSSocket, Buffer.alloc(0), '127.0.0.1:1');
  await gate.drain(10_000);
  checked.resolve(true);
  assert.equal(await admitted, true, 'it is not told that it was refused');
  assert.ok(socket.destroyed);
  assert.deepEqual(written, []);
  assert.equal([...registry.tunnels()].length, 0);
});

test('nor does one whose answer is written when the server begins to drain', async (t) => {
  const { gate, registry, events } = startGate(countingCheck().secrets);
  const socket = await agentSocket(t);
  assert.equal(await gate.admit(HANDSHAKE, socket, Buffer.alloc(0), '127.0.0.1:1'), true);
  const drained = gate.drain(10_000);
  await once(socket, 'close');
  await drained;
  assert.equal(events.of('tunnel-opened').length, 0);
  assert.equal([...registry.tunnels()].length, 0);
});

test('of an address whose secrets were wrong ten times no other is hashed for a while; what is known comes in, and so do others', async () => {
  let hashed = 0;
  const from = new Set<unknown>();
  const { gate } = startGate({
    async check(candidate, _secrets, about) {
      hashed += 1;
      from.add(about?.from);
      return SECRET.equals(candidate);
    },
    recalls: (candidate) => SECRET.equals(candidate),
  });
  const authorise = (secret: string, remote: string, domain = 'www.test') =>
    gate.authorise(
      { domain, instance: 'one', credentials: { identity: null, secret: new Secret(secret) }, chain: [] },
      remote,
    );
  for (let i = 0; i < 10; i += 1) {
    await assert.rejects(authorise(`a wrong secret, number ${i}`, '192.0.2.1:1000'), { code: 'secret-wrong' });
  }
  assert.equal(hashed, 10);
  for (const [domain, code] of [
    ['www.test', 'credentials-limit'],
    ['off.test', 'domain-inactive'],
    ['unknown.test', 'domain-unknown'],
  ] as const) {
    await assert.rejects(authorise('one more wrong secret', '192.0.2.1:2000', domain), { code }, 'the true reason');
  }
  assert.equal(hashed, 10);
  // Agents behind one address are not shut out together.
  await authorise(SECRET.reveal(), '192.0.2.1:3000');
  assert.equal(hashed, 10);
  await assert.rejects(authorise('a wrong secret of another', '192.0.2.2:1000'), { code: 'secret-wrong' });
  await authorise(SECRET.reveal(), '192.0.2.2:2000');
  assert.equal(hashed, 12);
  assert.deepEqual([...from], ['192.0.2.1', '192.0.2.2'], 'they take turns by address');
});

test('many guesses at once are one burst: a while later none of as many again is hashed', async (context) => {
  let nowMs = 0;
  context.mock.method(performance, 'now', () => nowMs);
  const { gate, hashed } = gateOfWrongSecrets();
  const guess = (n: number) => {
    const credentials = { identity: null, secret: new Secret(`a wrong secret, number ${n}`) };
    return gate.authorise({ domain: 'www.test', instance: 'one', credentials, chain: [] }, '192.0.2.1:1');
  };
  const guessAll = () => Promise.allSettled(Array.from({ length: 100 }, (_, n) => guess(n)));
  await guessAll();
  assert.equal(hashed(), 100);
  nowMs = 60_000;
  await guessAll();
  assert.equal(hashed(), 100);
});

test('guesses that nobody looks at are not counted: 6 s later the next one is hashed', async (context) => {
  let nowMs = 0;
  context.mock.method(performance, 'now', () => nowMs);
  const { gate, hashed } = gateOfWrongSecrets();
  const credentials = { identity: null, secret: new Secret('a wrong secret of some length') };
  const guess = () => gate.authorise({ domain: 'www.test', instance: 'one', credentials, chain: [] }, '192.0.2.1:1');
  for (let i = 0; i < 20; i += 1) await assert.rejects(guess());
  assert.equal(hashed(), 10);
  nowMs = 6_000;
  await assert.rejects(guess(), { code: 'secret-wrong' });
});

test('who is judged again guesses nothing: it is neither counted nor limited', async () => {
  const { gate, hashed } = gateOfWrongSecrets();
  const credentials = { identity: null, secret: new Secret('a secret that was right once') };
  const asker = { domain: 'www.test', instance: 'one', credentials, chain: [] };
  const wrong = { code: 'secret-wrong' };
  for (let i = 0; i < 12; i += 1) await assert.rejects(gate.authorise(asker, '192.0.2.1:1000', 0), wrong);
  for (let i = 0; i < 10; i += 1) await assert.rejects(gate.authorise(asker, '192.0.2.1:1000'), wrong);
  await assert.rejects(gate.authorise(asker, '192.0.2.1:1000'), { code: 'credentials-limit' });
  await assert.rejects(gate.authorise(asker, '192.0.2.1:1000', 0), wrong);
  assert.equal(hashed(), 23);
});

test('any number of right secrets from one address at once is none too many', async () => {
  const { gate } = startGate({ check: async (candidate) => SECRET.equals(candidate), recalls: () => false });
  const credentials = { identity: null, secret: SECRET };
  const many = Array.from({ length: 50 }, (_, i) =>
    gate.authorise({ domain: 'www.test', instance: `i${i}`, credentials, chain: [] }, '192.0.2.1:1000'),
  );
  assert.equal((await Promise.all(many)).length, 50);
});

test('who shows no secret guesses none', async () => {
  const { gate } = startGate({ check: async (candidate) => SECRET.equals(candidate), recalls: () => false });
  const asker = { domain: 'www.test', instance: 'one', chain: [] };
  for (let i = 0; i < 12; i += 1)
    await assert.rejects(gate.authorise({ ...asker, credentials: null }, '192.0.2.1:1000'), { code: 'secret-missing' });
  await gate.authorise({ ...asker, credentials: { identity: null, secret: SECRET } }, '192.0.2.1:1000');
});

test('guesses of one address are counted by /64', async () => {
  const { gate } = startGate({ check: async () => false, recalls: () => false });
  const credentials = { identity: null, secret: new Secret('a wrong secret of some length') };
  const asker = { domain: 'www.test', instance: 'one', chain: [], credentials };
  for (let i = 0; i < 10; i += 1)
    await assert.rejects(gate.authorise(asker, `[2001:db8::${i}]:1`), { code: 'secret-wrong' });
  await assert.rejects(gate.authorise(asker, '[2001:db8::ff]:1'), { code: 'credentials-limit' });
});

test('a tunnel whose secret goes while its 101 is written is cut as soon as it is there', async (t) => {
  const { gate, events, change } = startGate(countingCheck().secrets);
  const socket = await agentSocket(t);
  assert.equal(await gate.admit(HANDSHAKE, socket, Buffer.alloc(0), '127.0.0.1:1'), true);
  assert.equal(events.of('tunnel-opened').length, 0, 'it is judged, and not there yet');
  change(new Secret('another secret of enough bytes'));
  const closed = await events.wait('tunnel-closed');
  assert.equal(closed.reason, 'removed');
});

test('a tunnel that was judged again is judged once a change, not at each change to come', async (t) => {
  const { counted, secrets } = countingCheck();
  const { gate, events, change } = startGate(secrets);
  await gate.admit(HANDSHAKE, await agentSocket(t), Buffer.alloc(0), '127.0.0.1:1');
  await events.wait('tunnel-opened');
  change(SECRET);
  for (let i = 0; i < 3; i += 1) {
    gate.recheck();
    await new Promise(setImmediate);
  }
  assert.equal(counted.checks, 2);
  assert.equal(events.of('tunnel-closed').length, 0);
  gate.close();
  await events.wait('tunnel-closed');
});
