import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FirstTunnels, routeInTime } from '../../src/server/first-tunnels.ts';
import type { HelloRoute } from '../../src/server/hello-route.ts';
import type { ResolvedDomain } from '../../src/server/resolve-options.ts';
import { type HttpsWayKit, type HttpsWayKitOptions, withHttpsWay } from '../support/https-way.ts';
import type { Peer } from '../support/raw-target.ts';

const HANDED_OVER = { listen: [{ systemd: 'https' }], sockets: { https: [3] } };
const HOSTS = ['www.example.com', 'unserved.example.com', 'unknown.example.com'];

/** Asks for each of {@link HOSTS}, once the server has what was asked. */
async function ask(kit: HttpsWayKit): Promise<Peer[]> {
  const peers: Peer[] = [];
  for (const host of HOSTS) {
    const peer = await kit.visitor();
    await peer.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    peers.push(peer);
  }
  return peers;
}

/** A server after its start, whose agents have not come. */
function starting(firstTunnelsMs: number, server: HttpsWayKitOptions['server'] = HANDED_OVER): HttpsWayKitOptions {
  return { served: false, server, internals: { firstTunnelsMs } };
}

test('behind a socket that outlived a restart visitors wait for the first tunnel of their domain', async () => {
  await withHttpsWay(starting(60_000), async (kit) => {
    const [served, ...others] = await ask(kit);
    // A turn of what waits: nobody is served, and nobody is answered.
    await sleep(200);
    assert.equal(kit.records.length, 0);
    kit.carriers.push(kit.carrier);
    const to = await kit.target.next();
    await to.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    await served?.receivedText('\r\n\r\nok');
    assert.equal((await kit.record()).reason, 'done');
    assert.equal(kit.records.length, 1);
    // The last call ends the wait.
    kit.way.stop();
    for (const other of others) assert.match(await other.receivedText('\r\n\r\n'), /^HTTP\/1\.1 404 /);
    for (const peer of [served, ...others]) peer?.close();
  });
});

test('whoever gets the answer that gives nothing away waits for it, the service path included', async () => {
  await withHttpsWay(starting(60_000), async (kit) => {
    const agent = await kit.visitor();
    await agent.send(
      'GET /.well-known/backdial-agent HTTP/1.1\r\nHost: www.example.com\r\nConnection: Upgrade\r\nUpgrade: ptth\r\n\r\n',
    );
    const peers = [agent, ...(await ask(kit))];
    await sleep(200);
    for (const peer of peers) assert.equal(peer.text, '');
    kit.way.stop();
    for (const peer of peers) assert.match(await peer.receivedText('\r\n\r\n'), /^HTTP\/1\.1 404 /);
    assert.deepEqual(new Set(peers.map(({ text }) => text.split('\r\n')[0])), new Set(['HTTP/1.1 404 Not Found']));
    for (const peer of peers) peer.close();
  });
});

test('all who wait look again together, until the time is over', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 1_000;
  t.mock.method(performance, 'now', () => nowMs);
  const pass = (ms: number): void => {
    nowMs += ms;
    t.mock.timers.tick(ms);
  };
  const first = new FirstTunnels(120);
  for (const ms of [50, 50, 20]) {
    const looks = [first.next(), first.next()];
    assert.ok(looks[0] !== null && looks[0] === looks[1]);
    pass(ms);
    await looks[0];
  }
  assert.equal(first.next(), null);
  assert.equal(new FirstTunnels(0).next(), null);
});

test('elsewhere nobody waits', async () => {
  await withHttpsWay(starting(60_000, {}), async (kit) => {
    const peers = await ask(kit);
    for (const peer of peers) assert.match(await peer.receivedText('\r\n\r\n'), /^HTTP\/1\.1 404 /);
    for (const peer of peers) peer.close();
  });
});

const HIDE: HelloRoute = { kind: 'hide', name: 'www.test', policy: {} as ResolvedDomain, reason: 'domain-unserved' };
const OF_NOBODY: HelloRoute = { kind: 'refuse', name: 'no.test', reason: 'certificate-missing', detail: 'no.test' };
const PASS: HelloRoute = { kind: 'passthrough', name: 'www.test', policy: {} as ResolvedDomain };
const END: HelloRoute = { kind: 'terminate', name: 'www.test', certificate: 0 };

/** Where a hello leads that leads to these at one look after the other, the last one for ever; and in how many turns. */
async function followed(...looks: HelloRoute[]): Promise<{ readonly route: HelloRoute; readonly turns: number }> {
  let turns = 0;
  const first = {
    next: () => {
      turns += 1;
      return turns > 3 ? null : Promise.resolve();
    },
  };
  const route = await new Promise<HelloRoute>((resolve) => {
    routeInTime(first, { destroyed: false }, () => looks[Math.min(turns, looks.length - 1)] ?? HIDE, resolve);
  });
  return { route, turns };
}

test('a hello whose TLS would pass waits for a tunnel as long as one of a name of nobody does', async () => {
  assert.deepEqual(await followed(HIDE), { route: HIDE, turns: 4 });
  assert.deepEqual(await followed(OF_NOBODY), { route: OF_NOBODY, turns: 4 });
  assert.deepEqual(await followed(HIDE, HIDE, PASS), { route: PASS, turns: 2 });
  for (const route of [PASS, END]) assert.deepEqual(await followed(route), { route, turns: 0 });
  const late = await followed(OF_NOBODY, END);
  assert.equal(late.route.kind, 'refuse', 'TLS cannot end here any more');
  const gone = { destroyed: false };
  const turn = Promise.resolve();
  routeInTime(
    { next: () => turn },
    gone,
    () => HIDE,
    () => assert.fail(),
  );
  gone.destroyed = true;
  await turn;
});
