import assert from 'node:assert/strict';
import test from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { connectionTokens, FIELD, HeaderRules } from '../../src/net/header-rules.ts';

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

test('any number of spellings of one length are classified right', () => {
  const rules = new HeaderRules({ drop: ['x-field-000'] });
  for (let index = 0; index < 200; index += 1) {
    const name = `x-field-${String(index).padStart(3, '0')}`;
    assert.equal(rules.classify(name), index === 0 ? FIELD.drop : FIELD.pass);
    assert.equal(rules.classify('X-FIELD-000'), FIELD.drop);
  }
});

test('a spelling that is remembered does not keep the head that it was cut out of', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const rules = new HeaderRules();
  const body = Buffer.alloc(200_000, 'y');
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < 30; index += 1) {
    body.write(`x-field-that-is-long-${index}:`);
    const head = body.toString('latin1');
    rules.classify(head.slice(0, head.indexOf(':')));
  }
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  assert.ok(grown < 1_000_000, `${grown} bytes`);
});

test('spellings that strangers choose do not fill memory', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const rules = new HeaderRules();
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < 20_000; index += 1) rules.classify(`x-field-${String(index).padStart(6, '0')}`);
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  assert.ok(grown < 500_000, `${grown} bytes`);
  assert.equal(rules.classify('x-field-000000'), FIELD.pass);
});

test('tokens of Connection are told apart whatever blanks stand around them', () => {
  for (const [value, tokens] of [
    ['Close', ['close']],
    ['\tkeep-alive ', ['keep-alive']],
    ['a,\tB , ,c', ['a', 'b', 'c']],
    ['', []],
  ] as const) {
    assert.deepEqual(connectionTokens(value), tokens);
  }
});
