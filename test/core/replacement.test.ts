import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePattern } from '../../src/core/pattern.ts';
import { parseReplacement, replaceMatch } from '../../src/core/replacement.ts';

function replaced(path: string, source: string, text: string): string {
  const pattern = parsePattern(source);
  assert.ok(typeof pattern !== 'string');
  const replacement = parseReplacement(text, pattern);
  if (typeof replacement === 'string') return replacement;
  const match = pattern.exec(path);
  assert.ok(match !== null && match !== 'exhausted');
  return replaceMatch(path, match, replacement);
}

describe('a replacement', () => {
  const cases: readonly (readonly [path: string, source: string, text: string, result: string])[] = [
    ['/api/users', '^/api', '', '/users'],
    ['/api/users', '^/api/', '/', '/users'],
    ['/v1/users/7', '^/v(\\d)/([a-z]+)', '/$2/v$1', '/users/v1/7'],
    ['/a/b', '/(?<last>\\w)$', '/$<last>$<last>', '/a/bb'],
    ['/a/b', '/b', '$&$&', '/a/b/b'],
    ['/a', '^/(a)(x)?', '/$$$1$2', '/$a'],
    ['/%2525//;a', '^/', '/x/', '/x/%2525//;a'],
  ];
  for (const [path, source, text, result] of cases) {
    test(`${text || 'empty'} for ${source} makes ${path} ${result}`, () => {
      assert.equal(replaced(path, source, text), result);
    });
  }

  const faults: readonly (readonly [text: string, fault: RegExp])[] = [
    ['$2', /has \$2, which is no group/],
    ['$0', /has \$0, which is no group/],
    ['$<nope>', /has \$<nope>, which is no group/],
    ['a$', /has \$, which is no group/],
    ['/x?a=1', /question mark/],
    ['/x#y', /cannot have/],
    ['/x y', /cannot have/],
    ['/é', /cannot have/],
    ['/x\r\nHost: y', /cannot have/],
  ];
  for (const [text, fault] of faults) {
    test(`${JSON.stringify(text)} is refused`, () => assert.match(replaced('/a', '^/(a)', text), fault));
  }
});
