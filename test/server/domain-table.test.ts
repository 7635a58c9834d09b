import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DomainTable } from '../../src/server/domain-table.ts';
import { resolveDomain } from '../../src/server/resolve-options.ts';

const DEFAULTS = { maxBodyBytes: 0, transaction: true, unavailableStatus: 404 };

function tableOf(
  names: readonly string[],
  inactive: readonly string[] = [],
  granted: readonly string[] = [],
): DomainTable {
  const resolved = (name: string) => resolveDomain({ name, secrets: [] }, DEFAULTS);
  return new DomainTable(names.map(resolved), inactive, granted.map(resolved));
}

test('a name has the policy of its own domain, else that of the wildcard one label up', () => {
  const table = tableOf(['*.w.test', 'own.w.test']);
  assert.equal(table.find('own.w.test')?.name, 'own.w.test');
  assert.equal(table.find('any.w.test')?.name, '*.w.test');
  assert.equal(table.find('w.test'), null);
  assert.equal(table.find('a.b.w.test'), null);
});

test('a dial resolves exact domain, then instance, then wildcard', () => {
  const table = tableOf(['*.w.test', 'own.w.test', 'w.test']);
  assert.equal(table.resolve('own.w.test')?.instance, null);
  assert.deepEqual([table.resolve('one.w.test')?.domain, table.resolve('one.w.test')?.instance], ['w.test', 'one']);
  assert.equal(table.resolve('one.own.w.test')?.instance, 'one');
});

test('an inactive name is nobody, although it could be an instance of a domain', () => {
  const table = tableOf(['w.test'], ['off.w.test']);
  assert.equal(table.resolve('on.w.test')?.instance, 'on');
  assert.equal(table.resolve('off.w.test'), null);
});

test('an inactive name is nobody, although a wildcard covers it', () => {
  const table = tableOf(['*.w.test'], ['off.w.test', '*.off.test']);
  assert.equal(table.find('off.w.test'), null);
  assert.equal(table.resolve('off.w.test'), null);
  assert.equal(table.find('on.w.test')?.name, '*.w.test');
  assert.equal(table.absence('off.w.test'), 'domain-inactive');
  assert.equal(table.absence('any.off.test'), 'domain-inactive');
  assert.equal(table.absence('never.test'), 'domain-unknown');
});

test('whether there is a domain or not, as much is looked up', (t) => {
  const table = tableOf(['own.w.test'], ['off.w.test'], ['granted.test']);
  const lookUps = ['own.w.test', 'off.w.test', 'no.w.test'].map((name) => {
    const looked = [t.mock.method(Map.prototype, 'get'), t.mock.method(Set.prototype, 'has')];
    table.find(name);
    table.absence(name);
    const counts = looked.map(({ mock }) => mock.callCount());
    for (const { mock } of looked) mock.restore();
    return counts;
  });
  assert.deepEqual(lookUps, [lookUps[0], lookUps[0], lookUps[0]]);
  assert.ok((lookUps[0]?.[0] ?? 0) > 0);
});
