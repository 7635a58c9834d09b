import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { Http1Exchange } from '../../src/net/http1-exchange.ts';
import { Http1Connection } from '../../src/server/http1-connection.ts';
import type { VisitorConnection } from '../../src/server/visitor.ts';
import { within } from '../support/within.ts';

const WRITE_MS = 400;
const PART = Buffer.alloc(1_000);

function connectionOver(socket: Socket): VisitorConnection {
  return {
    raw: socket,
    name: null,
    remote: '192.0.2.1:1',
    acceptedAt: performance.now(),
    door: '',
    clientAuthorities: null,
    clientSubject: null,
  };
}

test('a slow reader of small answers is cut once it took nothing for the write time-out, not before', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  const pass = async (ms: number): Promise<void> => {
    nowMs += ms;
    t.mock.timers.tick(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  /** A visitor is looked at twice in its time. */
  const LOOK_MS = WRITE_MS / 2;
  const taken: (() => void)[] = [];
  // A socket whose visitor takes one write at a time, when the test says so.
  const socket = new Duplex({ read() {}, write: (_part, _encoding, done) => void taken.push(done) }) as Socket;
  const connection = connectionOver(socket);
  const times = { readMs: 10_000, writeMs: WRITE_MS, keepAliveMs: () => 1_000, firstHeadOnLate() {} };
  const visitor = new Http1Connection(socket, connection, times);
  let stalls = 0;
  const stall = (): void => {
    stalls += 1;
  };
  let closes = 0;
  const close = (): void => {
    closes += 1;
  };
  visitor.exchange = { stall, close } as unknown as Http1Exchange;
  void visitor.take(visitor.exchange, () => new Promise(() => {}));
  for (let i = 0; i < 3; i += 1) socket.write(PART);
  visitor.exchangeOptions.onSmallAnswer?.();
  for (let i = 0; i < 2; i += 1) {
    await pass(LOOK_MS);
    await pass(LOOK_MS - 1);
    taken.shift()?.();
    await pass(1);
    assert.equal(stalls, 0, `it has taken ${i + 1} of 3 parts`);
  }
  await pass(LOOK_MS);
  assert.equal(stalls, 0, 'the first look that saw nothing');
  await pass(LOOK_MS);
  assert.equal(stalls, 1);
  visitor.close();
  assert.equal(closes, 1, 'the exchange is told that the connection is gone');
});

test('nothing is read while many requests wait, whoever lets the socket flow, and a head is not late meanwhile', async () => {
  const socket = new Duplex({ read() {}, write() {} }) as Socket;
  const { promise: late, resolve: firstHeadOnLate } = Promise.withResolvers<void>();
  const times = { readMs: 20, writeMs: WRITE_MS, keepAliveMs: () => 1_000, firstHeadOnLate };
  const visitor = new Http1Connection(socket, connectionOver(socket), times);
  const served: (() => void)[] = [];
  const serve = (): Promise<void> => new Promise((resolve) => void served.push(resolve));
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 16; i += 1) {
    visitor.take({} as Http1Exchange, serve);
    socket.resume();
  }
  await turn();
  assert.equal(socket.isPaused(), false, '15 wait');
  assert.equal(visitor.excuseHead(), false);
  for (let i = 0; i < 20; i += 1) {
    visitor.take({} as Http1Exchange, serve);
    socket.resume();
  }
  await turn();
  assert.equal(socket.isPaused(), true, '35 wait');
  socket.resume();
  await turn();
  assert.equal(socket.isPaused(), true, '35 still wait');
  assert.equal(visitor.excuseHead(), true);
  for (let i = 0; i < 36; i += 1) {
    assert.equal(socket.isPaused(), i < 20, `${35 - i} wait`);
    served.shift()?.();
    await turn();
  }
  assert.equal(served.length, 0);
  await within('the end of the time of the head', late);
  visitor.close();
});
