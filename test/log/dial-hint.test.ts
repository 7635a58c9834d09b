import assert from 'node:assert/strict';
import { it } from 'node:test';
import { dialHint } from '../../src/log/dial-hint.ts';

it('the first failed dial in a row says what can be done, the later ones do not', () => {
  const hint = dialHint('handshake-refused', 1);
  assert.match(hint, /^ \(.*secret.*not active.*comes from.*backdial doctor.*\)$/);
  assert.match(dialHint('server-unreachable', 1), /port/);
  assert.match(dialHint('server-certificate', 1), /`pin`.*`ca`.*clock/);
  assert.equal(dialHint('handshake-refused', 2), '');
  assert.equal(dialHint('dial-timeout', 1), '');
});
