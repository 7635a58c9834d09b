import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { withQuery } from '../../src/agent/query.ts';

describe('parameters of a request', () => {
  for (const [target, query, expected] of [
    ['/', {}, '/'],
    ['/', { a: '1' }, '/?a=1'],
    ['/?', { a: '1' }, '/?a=1'],
    ['/?', { a: null }, '/?'],
    ['/?b', { a: null }, '/?b'],
    ['/?a', { a: null }, '/'],
    ['/?a=1&b=2&a=3', { a: null }, '/?b=2'],
    ['/?a=1&b=2', { a: '9' }, '/?b=2&a=9'],
    // However the name is encoded; all else stays byte for byte.
    ['/x?%61=1&b=%7e%7E+&&c', { a: null }, '/x?b=%7e%7E+&&c'],
    ['/?my+key=1&my%20key=2&mykey=3', { 'my key': '=&' }, '/?mykey=3&my%20key=%3D%26'],
    ['/?%C3%A9=1', { é: 'ü' }, '/?%C3%A9=%C3%BC'],
    ['/?A=1', { a: null }, '/?A=1'],
    ['/?a%=1&a%2=2', { 'a%': null }, '/?a%2=2'],
    ['/?a=x?a=1', { b: '?' }, '/?a=x?a=1&b=%3F'],
    ['*', { a: '1' }, '*'],
    ['/?__proto__=1', { a: null }, '/?__proto__=1'],
  ] as const) {
    it(`of ${target} with ${JSON.stringify(query)} are ${expected}`, () =>
      assert.equal(withQuery(target, query), expected));
  }

  it('that are set come out as they were, and others as they went in, whatever they are', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 });
    fc.assert(
      fc.property(text, text, fc.webQueryParameters(), (name, value, before) => {
        const parts = before === '' ? [] : before.split('&');
        const result = withQuery(`/p?${before}`, { [name]: value });
        const after = result.slice(result.indexOf('?') + 1);
        assert.ok(result.startsWith('/p?'));
        assert.deepEqual(new URLSearchParams(after).getAll(name), [value]);
        for (const part of after.split('&').slice(0, -1)) assert.ok(parts.includes(part));
      }),
    );
  });
});
