import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackdialError } from '../../src/core/errors.ts';
import { DeadBackends } from '../../src/server/dead-backends.ts';
import { Observed } from '../support/observed.ts';

test('a dead backend is told once, with what is wrong, and strangers who make up names do not fill the log', () => {
  const told = new Observed();
  const dead = new DeadBackends(told.observer);
  const error = new BackdialError('target-unreachable', 'unix:/run/app.sock: connect EACCES /run/app.sock');
  for (let round = 0; round < 3; round += 1) {
    for (let name = 0; name < 150; name += 1) dead.tell(`${name}.example.com`, error);
  }
  const warnings = told.of('warning');
  assert.equal(warnings.length, 100);
  assert.equal(warnings[0]?.code, 'target-unreachable');
  assert.match(warnings[0]?.message ?? '', /^0\.example\.com: .*EACCES \/run\/app\.sock; its visitors get alert 112$/);
  assert.equal(new Set(warnings.map(({ message }) => message)).size, 100);
});

test('a backend that stays dead is told again after 10 minutes, and then there is room for other names', (t) => {
  let now = 5_000;
  t.mock.method(performance, 'now', () => now);
  const told = new Observed();
  const dead = new DeadBackends(told.observer);
  const names = () => told.of('warning').map(({ message }) => message.slice(0, message.indexOf(':')));
  const tell = (name: string) => dead.tell(name, new BackdialError('target-refused'));
  tell('app.test');
  now += 599_000;
  tell('app.test');
  for (let name = 1; name < 100; name += 1) tell(`${name}.test`);
  tell('late.test');
  assert.equal(names().length, 100);
  now += 2_000;
  for (const name of ['app.test', 'late.test', 'app.test']) tell(name);
  assert.deepEqual(names().slice(100), ['app.test', 'late.test']);
});
