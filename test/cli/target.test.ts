import assert from 'node:assert/strict';
import { it } from 'node:test';
import { targetArgument } from '../../src/cli/target.ts';

for (const [text, message] of [
  ['nonsense', /the target `nonsense`; allowed: "http:\/\/host:port"/],
  ['http://h:1/path', /the target `http:\/\/h:1\/path`; allowed: /],
  ['70000', /the target `70000`/],
  ['http://user:pa55@h:1', /`http:\/\/\[redacted\]@h:1`/],
] as const) {
  it(`${text} is no target, and is told what is one`, () => {
    assert.throws(() => targetArgument(text), { code: 'input-invalid', message });
  });
}
