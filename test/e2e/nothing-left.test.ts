import assert from 'node:assert/strict';
import * as http from 'node:http';
import { test } from 'node:test';
import { visit } from '../support/http-visitor.ts';
import { listenOn } from '../support/listen-on.ts';
import { connectPeer, startRawTarget } from '../support/raw-target.ts';
import { askForUpgrade } from '../support/upgrade.ts';
import { openTunnel } from '../support/with-tunnel.ts';
import { eventually, within } from '../support/within.ts';

/** Sockets, listeners and timers of this process. */
function openHandles(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) {
    // Pipes are those of the test runner.
    if (!/^(Pipe|PipeWrap|TTYWrap|Immediate|FSReqCallback|CloseReq)/.test(name)) counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

test('what is closed leaves nothing open: no socket, no listener, no timer, no rejection', async () => {
  const before = openHandles();
  const rejections: unknown[] = [];
  const note = (reason: unknown) => rejections.push(reason);
  process.on('unhandledRejection', note);
  const warnings: string[] = [];
  const warn = (warning: Error) => warnings.push(warning.message);
  process.on('warning', warn);

  const target = await startRawTarget({ onPeer: (peer) => void peer.stream.write('hi') });
  const tunnel = await openTunnel({ target: target.port, connections: 2 });
  const half = await connectPeer(tunnel.tcp);
  await half.received(2);
  half.fin();
  const waiting = await visit(tunnel.frontDoor, { tls: true, version: 'HTTP/2' });
  const upgraded = await connectPeer(tunnel.frontDoor, { tls: true });
  await askForUpgrade(upgraded);
  const silent = await connectPeer(tunnel.frontDoor);
  await tunnel.close();
  await within('the end of a visitor', Promise.all([half.ending, upgraded.ending, silent.ending, waiting.ending]));
  for (const visitor of [half, waiting, upgraded, silent]) visitor.close();
  await target.close();
  await eventually('every handle to be closed', () => {
    const now = openHandles();
    return Object.keys(now).every((name) => (now[name] ?? 0) <= (before[name] ?? 0));
  });
  process.off('unhandledRejection', note);
  process.off('warning', warn);
  assert.deepEqual(rejections, []);
  assert.deepEqual(warnings, []);
});

test('nothing grows: after 100 more visits of each kind the tunnel holds what it held after the first', async () => {
  const server = http.createServer((_request, response) => response.end('ok'));
  server.on('upgrade', (_request, socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: backdial-test\r\n\r\nbye');
  });
  const tunnel = await openTunnel({ target: await listenOn(server) });
  const warnings: string[] = [];
  process.on('warning', (warning) => warnings.push(warning.message));

  const visitEach = async () => {
    const stream = await connectPeer(tunnel.tcp);
    await stream.send('GET / HTTP/1.0\r\n\r\n');
    await within('the end of a TCP stream', stream.ending);
    stream.close();
    const upgrade = await connectPeer(tunnel.frontDoor, { tls: true });
    await askForUpgrade(upgrade);
    await within('the end of an upgrade', upgrade.ending);
    assert.match(upgrade.text, /bye$/);
    upgrade.fin();
    upgrade.close();
    for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
      const visitor = await visit(tunnel.frontDoor, { tls: true, version });
      await within('the end of a request', visitor.ending);
      visitor.close();
    }
  };
  try {
    for (let round = 0; round < 20; round += 1) await visitEach();
    await eventually('the visits to be over', () => sockets() < 20);
    const first = sockets();
    for (let round = 0; round < ROUNDS; round += 1) await visitEach();
    await eventually('the visits to be over', () => sockets() <= first + 4);
  } finally {
    await tunnel.close();
    server.closeAllConnections();
    server.close();
  }
  assert.deepEqual(warnings, [], 'Node warns of listeners that pile up');
});

/** Each is four visits; enough for Node to warn of listeners that pile up (it does at 11). */
const ROUNDS = 100;

function sockets(): number {
  return openHandles().TCPSocketWrap ?? 0;
}
