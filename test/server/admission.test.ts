import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { mock, type TestContext, test } from 'node:test';
import { Admission, type AdmissionOptions } from '../../src/server/admission.ts';
import { listenOn } from '../support/listen-on.ts';
import { Observed } from '../support/observed.ts';
import { connectWire } from '../support/sockets.ts';
import { testDomain, withAgent } from '../support/with-agent.ts';
import { startServer } from '../support/with-server.ts';
import { eventually, within } from '../support/within.ts';

function makeAdmission(limits: Partial<AdmissionOptions> = {}) {
  const log = new Observed();
  const options = { maxConnections: 0, maxConnectionsPerAddress: 0, observer: log.observer, ...limits };
  return { log, admission: new Admission(options) };
}

/** A listener that asks `admission` about each connection. */
async function listenWith(t: TestContext, admission: Admission) {
  const admitted: { socket: Socket; remote: string }[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    const remote = admission.admit(socket);
    if (remote !== null) admitted.push({ socket, remote });
  });
  const port = await listenOn(server);
  t.after(() => {
    for (const { socket } of admitted) socket.destroy();
    server.close();
    admission.close();
  });
  const connect = async () => {
    const { raw } = await connectWire(port);
    raw.resume();
    t.after(() => raw.destroy());
    return raw;
  };
  return { connect, admitted };
}

for (const limit of ['maxConnections', 'maxConnectionsPerAddress'] as const) {
  test(`over ${limit} a connection is destroyed at once, until one of those that are open has closed`, async (t) => {
    const { log, admission } = makeAdmission({ [limit]: 2 });
    const { connect, admitted } = await listenWith(t, admission);
    await connect();
    await connect();
    await eventually('two connections', () => admitted.length === 2);
    for (let i = 0; i < 3; i += 1) await within('the close', once(await connect(), 'end'));
    assert.equal(admission.connectionCount, 2);
    assert.deepEqual(
      log.events.map(({ type }) => type),
      ['warning'],
      'one warning, not a line each',
    );
    const [warning] = log.of('warning');
    assert.equal(warning?.code, 'connection-limit');
    assert.match(warning?.message ?? '', /limit of 2 connections/);
    admitted[0]?.socket.destroy();
    await eventually('a free place', () => admission.connectionCount === 1);
    await connect();
    await eventually('a third', () => admitted.length === 3);
    admission.close();
    assert.match(log.of('warning')[1]?.message ?? '', /^3 times/);
  });
}

test('tunnels do not count for the address that they come from: an agent may have more than it, and visitors come beside them', async (t) => {
  const server = await startServer({ maxConnectionsPerAddress: 2 });
  t.after(() => server.close());
  const domain = testDomain({ remote: [`127.0.0.1:${server.port}`], connections: 5 });
  await withAgent({ domains: [domain] }, {}, async (agent) => {
    const live = () => agent.state().domains[0]?.links.filter(({ state }) => state === 'live').length;
    await eventually('five tunnels', () => live() === 5);
    const visitors = [await connectWire(server.port), await connectWire(server.port)];
    for (const { raw } of visitors) t.after(() => raw.destroy());
    const third = await connectWire(server.port);
    third.raw.resume();
    await within('the close of a third', once(third.raw, 'end'));
    assert.deepEqual(
      visitors.map(({ raw }) => raw.readyState),
      ['open', 'open'],
    );
  });
});

test('a peer is named by address and port', async (t) => {
  const { admission } = makeAdmission();
  const { connect, admitted } = await listenWith(t, admission);
  const raw = await connect();
  await eventually('the connection', () => admitted.length === 1);
  assert.equal(admitted[0]?.remote, `127.0.0.1:${raw.localPort}`);
});

test('refusals are told one by one up to a bound, then as a number', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { log, admission } = makeAdmission();
  const refuse = (count: number) => {
    for (let i = 0; i < count; i += 1) {
      admission.refused({ remote: '192.0.2.1:1', reason: 'hello-invalid', detail: 'x', name: null });
    }
  };
  refuse(250);
  assert.equal(log.of('connection-refused').length, 100);
  assert.equal(log.of('warning').length, 0);
  mock.timers.tick(10_000);
  assert.match(log.of('warning')[0]?.message ?? '', /^150 more connections were refused/);
  refuse(10);
  assert.equal(log.of('connection-refused').length, 110);
  mock.timers.tick(10_000);
  assert.equal(log.of('warning').length, 1);
});

test('failed accepts are one warning at a time', () => {
  const { log, admission } = makeAdmission();
  for (let i = 0; i < 50; i += 1) admission.acceptFailed(new Error('accept ECONNABORTED'));
  assert.equal(log.events.length, 1);
  admission.close();
  assert.equal(log.events.length, 2);
});

test('what is kept for agents goes to whoever comes to a front door, the oldest making room; a TCP port has none of it', async (t) => {
  const { log, admission } = makeAdmission({ maxConnections: 16 });
  const admitted: Socket[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    if (admission.admitToDoor(socket) !== null) admitted.push(socket);
  });
  const port = await listenOn(server);
  const { connect } = await listenWith(t, admission);
  t.after(() => {
    for (const socket of admitted) socket.destroy();
    server.close();
  });
  const knock = async () => {
    const count = admitted.length;
    const { raw } = await connectWire(port);
    raw.resume();
    t.after(() => raw.destroy());
    await eventually('it is admitted', () => admitted.length > count);
    return admitted.at(-1) as Socket;
  };
  for (let index = 0; index < 15; index += 1) assert.equal(admission.isSpare(await knock()), false);
  await within('the close', once(await connect(), 'end'));
  const spare = await knock();
  assert.equal(admission.isSpare(spare), true);
  assert.deepEqual(
    log.of('warning').map(({ code }) => code),
    ['connection-limit'],
  );
  const over = await connectWire(port);
  over.raw.resume();
  await within('the close', once(over.raw, 'end'));
  spare.destroy();
  await eventually('its place is free', () => admission.connectionCount === 15);
  const agent = await knock();
  admission.keep(agent);
  assert.equal(admission.isSpare(agent), false);
});

test('near the limit of descriptors visitors are turned away, and of silent ones at a front door the oldest goes', async (t) => {
  const log = new Observed();
  let left = 100;
  const options = { maxConnections: 0, maxConnectionsPerAddress: 0, observer: log.observer };
  const admission = new Admission(options, { limit: () => 0, left: () => left });
  const admitted: Socket[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    if (admission.admitToDoor(socket) !== null) admitted.push(socket);
  });
  const port = await listenOn(server);
  t.after(() => {
    for (const socket of admitted) socket.destroy();
    server.close();
    admission.close();
  });
  const knock = async () => {
    const { raw } = await connectWire(port);
    raw.resume();
    t.after(() => raw.destroy());
  };
  await knock();
  await eventually('the first', () => admitted.length === 1);
  left = 10;
  for (let count = 2; count <= 12; count += 1) {
    await knock();
    await eventually('the next', () => admitted.length === count);
  }
  await eventually('old ones are gone', () => admitted.filter(({ destroyed }) => !destroyed).length === 9);
  assert.equal(admitted[0]?.destroyed, false, 'who was there before stays');
  assert.equal(admitted[1]?.destroyed, true);
  left = 100;
  await knock();
  await eventually('another', () => admitted.length === 13);
  assert.equal(admission.isSpare(admitted[12] as Socket), false);
});

test('a server that closes tells what was only counted so far', async (t) => {
  const log = new Observed();
  const { port, close } = await startServer({ maxConnectionsPerAddress: 1, observer: log.observer });
  t.after(close);
  const { raw } = await connectWire(port);
  t.after(() => raw.destroy());
  for (let i = 0; i < 3; i += 1) {
    const { raw: refused } = await connectWire(port);
    t.after(() => refused.destroy());
    await within('the end', once(refused.resume(), 'end'));
  }
  await close();
  assert.match(log.of('warning').at(-1)?.message ?? '', /^3 times in the last 10 s/);
});

test('far from the limit of descriptors the system is not asked how many are left', () => {
  const { log } = makeAdmission();
  let asked = 0;
  const options = { maxConnections: 0, maxConnectionsPerAddress: 0, observer: log.observer };
  const left = () => {
    asked += 1;
    return 1_000;
  };
  // A sixteenth of the limit: 2.
  const admission = new Admission(options, { limit: () => 32, left });
  const counts = Array.from({ length: 4 }, () => {
    assert.equal(admission.admit(new net.Socket()), 'unix');
    return asked;
  });
  assert.deepEqual(counts, [0, 0, 0, 1]);
  admission.close();
});
