import assert from 'node:assert/strict';
import test from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FIELD, HeaderRules } from '../../src/net/header-rules.ts';

test('spellings are remembered, but no name is kept that has the size of a head', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const rules = new HeaderRules({ drop: ['x-drop'] });
  assert.equal(rules.classify('X-Drop'), FIELD.drop);
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < 300; index += 1) {
    assert.equal(rules.classify(`x-${index}-${'y'.repeat(60_000)}`), FIELD.pass);
  }
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  assert.ok(grown < 3_000_000, `${grown} bytes`);
  assert.equal(rules.classify('x-drop'), FIELD.drop);
});
