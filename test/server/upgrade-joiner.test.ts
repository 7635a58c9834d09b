import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import { BackdialError } from '../../src/core/errors.ts';
import { UpgradeJoiner } from '../../src/server/upgrade-joiner.ts';

test('what is joined ends with the reason for which it was cut', async () => {
  const joiner = new UpgradeJoiner();
  const ended = new AbortController();
  const removed = joiner.carry(new PassThrough(), new PassThrough(), ended.signal);
  const closing = joiner.carry(new PassThrough(), new PassThrough());
  assert.equal(joiner.openCount, 2);
  ended.abort(new BackdialError('domain-unknown', 'www.test'));
  joiner.cut();
  assert.deepEqual([(await removed).error?.code, (await closing).error?.code], ['domain-unknown', 'tunnel-draining']);
  assert.equal(joiner.openCount, 0);
});
