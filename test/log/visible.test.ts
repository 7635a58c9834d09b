import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { visible, visibleJson } from '../../src/log/visible.ts';

/** What a terminal or a reader of lines could take for more than a character. */
const ACTIVE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\ufeff]/u;

describe('visible', () => {
  it('leaves ordinary text of any script as it is', () => {
    for (const text of ['GET /a%20b?x=1', 'Grüße, 世界, 🕸💍', '\\x1b as typed']) assert.equal(visible(text), text);
  });

  it('names what would break a line or act on a terminal', () => {
    assert.equal(visible('a\r\nb\u001b[2J\0\u2028\u202e\u009b'), 'a\\x0d\\x0ab\\x1b[2J\\x00\\u2028\\u202e\\x9b');
  });

  it('leaves nothing active in any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        assert.doesNotMatch(visible(text), ACTIVE);
        assert.ok(visible(text).isWellFormed());
      }),
    );
  });
});

describe('visibleJson', () => {
  it('keeps the meaning of every JSON text and leaves nothing active in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = visibleJson(JSON.stringify({ text }));
        assert.doesNotMatch(json, ACTIVE);
        assert.deepEqual(JSON.parse(json), { text });
      }),
    );
  });
});
