import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { connectDialer } from '../../src/cli/connect-dialer.ts';
import { within } from '../support/within.ts';

/** A dial through a server whose name is never resolved. */
function dial(signal: AbortSignal): Promise<unknown> {
  const flags = { server: 'tunnel.test', identity: 'ci' };
  const env = { BACKDIAL_SECRET: 'a secret of enough bytes' };
  const dialer = connectDialer('www.test:22', flags, { env, lookup: () => new Promise(() => {}) });
  return dialer.dial({ patienceMs: 0, signal });
}

test('a dial that is given up waits for no look-up', async () => {
  const gone = new AbortController();
  const dialled = dial(gone.signal);
  gone.abort(new Error('the visitor left'));
  // A look-up has 10 s.
  await assert.rejects(within('the end', dialled, 5_000), { message: 'the visitor left' });
  await assert.rejects(dial(gone.signal), { message: 'the visitor left' });
});

test('a look-up that is never answered ends a dial after its deadline', async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const dialled = dial(new AbortController().signal);
  const refused = assert.rejects(dialled, { code: 'server-unresolved', message: /tunnel\.test: no answer within/ });
  await new Promise(setImmediate);
  t.mock.timers.tick(30_000);
  await refused;
});
