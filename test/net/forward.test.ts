import assert from 'node:assert/strict';
import test from 'node:test';
import type { Exchange } from '../../src/net/exchange.ts';
import { type ForwardResult, forward, MIN_BODY_BYTES_PER_SECOND } from '../../src/net/forward.ts';
import { HeaderRules } from '../../src/net/header-rules.ts';
import type { Requester } from '../../src/net/upstream-handler.ts';

const ENOUGH = Buffer.alloc(MIN_BODY_BYTES_PER_SECOND);
const TOO_LITTLE = Buffer.alloc(MIN_BODY_BYTES_PER_SECOND - 1);

/** A request whose body is judged each second of a clock that only `second` moves, on its way to a target that says whether there is room. */
function slowBody(context: test.TestContext) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  context.mock.method(performance, 'now', () => now);
  const nothing = () => {};
  const pauses: boolean[] = [];
  const exchange: Partial<Exchange> = {
    version: '1.1',
    handler: null,
    gone: null,
    responded: false,
    startBody: nothing,
    pauseBody: () => void pauses.push(true),
    resumeBody: () => void pauses.push(false),
  };
  const target = { hasRoom: true };
  const requester: Partial<Requester> = { start: nothing, write: () => target.hasRoom, fail: nothing, finish: nothing };
  const ends: (string | null)[] = [];
  const request = { method: 'POST', target: '/', headers: [], framing: 'chunked', upgrade: false } as const;
  const rules = new HeaderRules();
  const plan = {
    request,
    maxBodyBytes: 0,
    bodyRateWindowMs: 1_000,
    expectsContinue: false,
    responseHeaders: [],
    requestRules: rules,
    responseRules: rules,
  };
  const onEnd = ({ error }: ForwardResult) => ends.push(error?.code ?? null);
  let toTarget: Parameters<Requester['start']>[1] | undefined;
  requester.start = (_request, handler) => {
    toTarget = handler;
  };
  forward(exchange as Exchange, requester as Requester, plan, { readMs: 0, writeMs: 0 }, onEnd);
  return {
    target,
    pauses,
    ends,
    bring: (bytes: Buffer) => exchange.handler?.exchangeData(bytes),
    drain: () => toTarget?.upstreamDrain(),
    second: () => {
      now += 1_000;
      context.mock.timers.tick(1_000);
    },
  };
}

test('a body that brings enough in each window passes, however long it takes', (context) => {
  const { bring, second, ends } = slowBody(context);
  for (let i = 0; i < 100; i += 1) {
    bring(ENOUGH);
    second();
  }
  assert.deepEqual(ends, []);
});

test('a body that brings less in one window is too slow, whatever it brought before', (context) => {
  const { bring, second, ends } = slowBody(context);
  bring(Buffer.concat([ENOUGH, ENOUGH, ENOUGH]));
  second();
  bring(TOO_LITTLE);
  assert.deepEqual(ends, []);
  second();
  assert.deepEqual(ends, ['body-too-slow']);
});

test('a body that the target holds back is not too slow, for however many windows', (context) => {
  const { bring, second, drain, target, ends, pauses } = slowBody(context);
  target.hasRoom = false;
  bring(TOO_LITTLE);
  assert.deepEqual(pauses, [true]);
  for (let i = 0; i < 10; i += 1) second();
  assert.deepEqual(ends, []);
  drain();
  assert.deepEqual(pauses, [true, false]);
  second();
  assert.deepEqual(ends, [], 'it was held back in a part of this window');
  second();
  assert.deepEqual(ends, ['body-too-slow']);
});

test('a body that was held back for a part of a window is not too slow in that one', (context) => {
  const { bring, second, drain, target, ends } = slowBody(context);
  target.hasRoom = false;
  bring(TOO_LITTLE);
  drain();
  second();
  assert.deepEqual(ends, []);
  second();
  assert.deepEqual(ends, ['body-too-slow']);
});
