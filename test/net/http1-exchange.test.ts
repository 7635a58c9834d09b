import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test from 'node:test';
import type { BackdialError } from '../../src/core/errors.ts';
import { Http1Exchange } from '../../src/net/http1-exchange.ts';
import { listenOn } from '../support/listen-on.ts';
import { within } from '../support/within.ts';

const OPTIONS = { writeMs: 60_000, upgradable: false, closing: () => false, keepAliveMs: () => 0 };

test('a visitor that took all while the kernel was asked is not watched any more', async () => {
  const { promise: exchanged, resolve } = Promise.withResolvers<Http1Exchange>();
  await using server = createServer((request, response) => resolve(new Http1Exchange(request, response, OPTIONS)));
  const port = await listenOn(server);
  const asked = fetch(`http://127.0.0.1:${port}/`).catch(() => {});
  const exchange = await within('a request', exchanged);
  // Nothing waits; the kernel holds the same at both.
  await exchange.look();
  await exchange.look();
  assert.equal(exchange.gone, null);
  exchange.stall();
  assert.equal((exchange.gone as BackdialError | null)?.code, 'visitor-stalled');
  await asked;
});
