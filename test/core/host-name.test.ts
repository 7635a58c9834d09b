import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalName, isCanonicalName, toDomain, toHostName, wildcardOf } from '../../src/core/host-name.ts';

describe('host names as people type them', () => {
  const valid: readonly (readonly [string, string])[] = [
    ['faß.de', 'xn--fa-hia.de'],
    ['🕸💍.ws', 'xn--sr8hvo.ws'],
    ['❤️.ws', 'xn--qei.ws'],
    ['🕸💍.ws', 'xn--sr8hvo.ws'],
    ['123.example', '123.example'],
    ['WWW.Example.COM', 'www.example.com'],
    ['www.example.com.', 'www.example.com'],
    ['BÜCHER.example。', 'xn--bcher-kva.example'],
    ['ａｂｃ.example', 'abc.example'],
    ['نامه‌ای.com', 'xn--mgba3gch31f060k.com'],
    ['XN--FA-HIA.de', 'xn--fa-hia.de'],
    ['r3---sn-x.example', 'r3---sn-x.example'],
    ['devservice', 'devservice'],
    ['1.2.3.example', '1.2.3.example'],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ];
  for (const [typed, canonical] of valid) {
    it(`makes ${JSON.stringify(typed)} ${canonical}`, () => assert.equal(toHostName(typed), canonical));
  }

  const invalid: readonly (readonly [string, string])[] = [
    ['an empty name', ''],
    ['a dot alone', '.'],
    ['two trailing dots', 'example.com..'],
    ['an empty label', 'a..b'],
    ['a leading dot', '.example.com'],
    ['an underscore', 'a_b.example'],
    ['an underscore in another script', 'a＿b.example'],
    ['a soft hyphen', 'exam\u00adple.com'],
    ['a zero-width space', 'exam\u200bple.com'],
    ['a label of 64', `${'a'.repeat(64)}.example`],
    ['a label that is too long as an A-label', `${'ß'.repeat(60)}.example`],
    ['more than 254 bytes', `${'abcdefg.'.repeat(32)}example`],
    ['a leading hyphen', '-a.example'],
    ['a trailing hyphen', 'a-.example'],
    ['a trailing hyphen beside a letter that is not ASCII', 'é-.example'],
    ['an A-label that encodes nothing', 'xn--a.example'],
    ['an A-label of a name that may not be', 'xn----9fa.example'],
    ['a number that a browser takes for an address', '1.2.3'],
    ['a number alone', '123'],
    ['an address', '127.0.0.1'],
    ['an address in full-width digits', '１.２.３'],
    ['an address in hexadecimal', '0x7f.1'],
    ['an IPv6 address', '[::1]'],
    ['a port', 'example.com:443'],
    ['a path', 'é.example/x'],
    ['a path in full-width', 'é.example／x'],
    ['a user name', 'a@example.com'],
    ['an escape', 'a%62.example'],
    ['a space', 'a b.example'],
    ['a tab that would be dropped', 'é\tb.example'],
    ['a joiner where none may be', 'a\u200db.example'],
    ['half a surrogate pair', '\ud800.example'],
    ['a wildcard', '*.example.com'],
  ];
  for (const [what, typed] of invalid) it(`refuses ${what}`, () => assert.equal(toHostName(typed), null));

  it('gives names that are canonical and stay as they are', () => {
    let named = 0;
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), fc.domain()), (typed) => {
        const name = toHostName(typed);
        if (name === null) return;
        named += 1;
        assert.ok(isCanonicalName(name));
        assert.equal(toHostName(name), name);
        assert.equal(canonicalName(name.toUpperCase()), name);
      }),
      { numRuns: 2_000 },
    );
    assert.ok(named > 100);
  });
});

describe('host names as they arrive', () => {
  it('are compared without case and without one trailing dot', () => {
    assert.equal(canonicalName('WWW.Example.com.'), 'www.example.com');
    assert.equal(canonicalName('www.example.com..'), null);
    assert.equal(canonicalName(''), null);
    assert.equal(canonicalName('.'), null);
  });

  it('are never mapped from another script', () => {
    assert.equal(canonicalName('\u212a.example'), null, 'the Kelvin sign is not a k');
    assert.equal(canonicalName('faß.de'), null);
    assert.equal(canonicalName('a\u0000b'), null);
  });
});

describe('domains', () => {
  it('are a name or a wildcard for one', () => {
    assert.equal(toDomain('*.Example.com'), '*.example.com');
    assert.equal(toDomain('Example.com'), 'example.com');
    for (const bad of ['*', '*.', 'a.*.b', '*.*.b', '**.b', '*b']) assert.equal(toDomain(bad), null);
  });

  it('are covered by the wildcard one label up', () => {
    assert.equal(wildcardOf('a.b.c'), '*.b.c');
    assert.equal(wildcardOf('a'), null);
  });
});
