import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { visitorOf } from '../../src/agent/exchange-head.ts';

describe('the visitor of an exchange', () => {
  const cases: readonly (readonly [title: string, fields: string[], visitor: string | null])[] = [
    ['is not known without a word of the server', ['Host', 'a.test'], null],
    ['is who connected to the server', ['X-Forwarded-For', '192.0.2.1'], '192.0.2.1'],
    ['is whom a proxy names', ['x-forwarded-for', '192.0.2.1, 10.0.0.1'], '192.0.2.1'],
    ['is whom a proxy names, without the port', ['X-Forwarded-For', '[2001:db8::1]:80, 10.0.0.1'], '2001:db8::1'],
    ['is a proxy that names nobody', ['X-Forwarded-For', 'unknown, 10.0.0.1'], '10.0.0.1'],
    [
      'is whom the server names',
      ['X-Forwarded-For', '192.0.2.9, 192.0.2.1, 10.0.0.2, 10.0.0.1', 'Backdial-Client', '192.0.2.1:0'],
      '192.0.2.1',
    ],
    ['may come over IPv6', ['X-Forwarded-For', 'a, b, c', 'Backdial-Client', '[2001:db8::1]:443'], '2001:db8::1'],
  ];
  for (const [title, rawHeaders, visitor] of cases) {
    it(title, () => assert.equal(visitorOf({ rawHeaders }), visitor));
  }
});
