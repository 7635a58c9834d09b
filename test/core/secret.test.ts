import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { format, inspect } from 'node:util';
import fc from 'fast-check';
import { Secret } from '../../src/core/secret.ts';
import { isWeakSecret, parseSecretHash, secretFault } from '../../src/core/secret-rules.ts';

describe('a secret', () => {
  it('never shows itself', () => {
    const text = 'hunter2-and-much-more';
    const secret = new Secret(text);
    const holder = { deep: { list: [secret] }, secret };
    const shown = [
      String(secret),
      `${secret}`,
      JSON.stringify(holder),
      inspect(holder, { depth: 9, showHidden: true }),
      inspect(secret, { customInspect: false, showHidden: true }),
      format('%s %o %O %j', secret, secret, holder, holder),
      Object.entries(secret).join(),
      new Error('x', { cause: secret }).toString(),
      inspect(new Error('x', { cause: secret })),
    ];
    for (const each of shown) assert.ok(!each.includes('hunter2'), each);
    assert.ok(shown[0] === '[redacted]' && shown[2]?.includes('[redacted]'));
    assert.equal(secret.reveal(), text);
  });

  it('equals the same text and no other', () => {
    const secret = new Secret('naïve ☃');
    assert.ok(secret.equals('naïve ☃'));
    for (const other of ['naïve ☃ ', 'naïve', '', 'NAÏVE ☃']) assert.ok(!secret.equals(other));
  });
});

describe('the rules of secrets', () => {
  it('allow 1 to 128 bytes of printable UTF-8', () => {
    for (const good of ['x', 'a b', 'ä'.repeat(64), 'x'.repeat(128), '☃', '🕸💍', 'quote"\'\\$']) {
      assert.equal(secretFault(good), null, good);
    }
    const bad = [
      '',
      'x'.repeat(129),
      'ä'.repeat(65),
      'a\nb',
      'a\u0000',
      'a\u007f',
      'a\u0085',
      '\ud800',
      ' a',
      'a ',
      '\u2028',
    ];
    for (const each of bad) assert.notEqual(secretFault(each), null, JSON.stringify(each));
  });

  it('find secrets of fewer than 16 bytes weak', () => {
    assert.ok(isWeakSecret('x'.repeat(15)));
    assert.ok(!isWeakSecret('ä'.repeat(8)));
  });

  it('never quote the secret', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 8 }), (secret) => {
        assert.ok(!(secretFault(secret) ?? '').includes(secret));
      }),
    );
  });

  it('are made of nothing but strings', () => {
    for (const value of [undefined, null, 5, Buffer.from('x')]) {
      assert.throws(() => new Secret(value as never), { code: 'input-invalid', message: /made of a string/ });
    }
  });

  it('read hashes, and refuse those that are malformed or take too long', () => {
    const digest = 'a'.repeat(86);
    assert.deepEqual(parseSecretHash(`$6$saltsalt$${digest}`), { rounds: 5_000, salt: 'saltsalt' });
    assert.deepEqual(parseSecretHash(`$6$rounds=100000$saltsalt$${digest}`), { rounds: 100_000, salt: 'saltsalt' });
    const bad = [
      '$6$',
      `$6$salt$${digest}`,
      `$6$saltsaltsaltsalts$${digest}`,
      `$5$saltsalt$${digest}`,
      `$6$saltsalt$${digest}a`,
      `$6$saltsalt$${digest}\n`,
      `$6$rounds=100001$saltsalt$${digest}`,
      `$6$rounds=999$saltsalt$${digest}`,
      `$6$rounds=05000$saltsalt$${digest}`,
    ];
    for (const each of bad) assert.equal(parseSecretHash(each), null, each);
  });
});
