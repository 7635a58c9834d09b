import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowsConnection } from '../../src/core/connect-grant.ts';

/** Grant of `connect`, its ports, what is asked for (name, domain that serves it, port), whether it is allowed. */
const CASES: readonly [string, [number, number] | null, [string, string, number | null], boolean][] = [
  ['www.test', null, ['www.test', 'www.test', null], true],
  ['www.test', null, ['one.www.test', 'www.test', 22], true],
  ['one.www.test', null, ['one.www.test', 'www.test', 22], true],
  ['one.www.test', null, ['two.www.test', 'www.test', 22], false],
  ['one.www.test', null, ['www.test', 'www.test', 22], false],
  ['*.test', null, ['www.test', 'www.test', 22], true],
  ['www.test', [22, 23], ['www.test', 'www.test', 22], true],
  ['www.test', [22, 23], ['www.test', 'www.test', 23], true],
  ['www.test', [22, 23], ['www.test', 'www.test', 21], false],
  ['www.test', [22, 23], ['www.test', 'www.test', 24], false],
  ['www.test', [22, 23], ['www.test', 'www.test', null], false],
  ['www.test', [80, 80], ['www.test', 'www.test', null], true],
  ['www.test', [443, 443], ['www.test', 'www.test', null], true],
  ['other.test', null, ['www.test', 'www.test', 22], false],
];

for (const [pattern, range, [name, domain, port], allowed] of CASES) {
  const ports = range === null ? null : { first: range[0], last: range[1] };
  test(`a grant of ${pattern}:${range?.join('-') ?? '*'} ${allowed ? 'allows' : 'does not allow'} ${name}:${port ?? ''}`, () => {
    assert.equal(allowsConnection({ name: pattern, ports }, { name, domain, port }), allowed);
  });
}
