import assert from 'node:assert/strict';
import { url } from 'node:inspector';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchSignals } from '../../src/cli/signals.ts';

test('SIGUSR1, which tells other servers to reopen their logs, opens no debugger', async () => {
  watchSignals();
  process.kill(process.pid, 'SIGUSR1');
  // Nothing tells that it came; a debugger is there at once.
  await sleep(200);
  assert.equal(url(), undefined);
});
