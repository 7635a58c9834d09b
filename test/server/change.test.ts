import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Secret } from '../../src/core/secret.ts';
import { diffServerOptions } from '../../src/server/change.ts';
import { reportChanges } from '../../src/server/change-report.ts';
import type { DomainOptions, ServerOptions } from '../../src/server/options.ts';
import { type ResolvedServerOptions, resolveServerOptions } from '../../src/server/resolve-options.ts';

function resolved(given: Partial<ServerOptions> = {}): ResolvedServerOptions {
  return resolveServerOptions({
    listen: [{ host: '127.0.0.1', port: 443 }],
    certificates: [{ hosts: ['*'], cert: 'a certificate', key: 'its key' }],
    domains: [domain()],
    name: 'node-1',
    ...given,
  });
}

function domain(given: Partial<DomainOptions> = {}): DomainOptions {
  return { name: 'www.test', secrets: [new Secret('a secret of enough bytes')], ...given };
}

function diff(after: Partial<ServerOptions>, before: Partial<ServerOptions> = {}) {
  return diffServerOptions(resolved(before), resolved(after));
}

describe('the difference of two configurations of a server', () => {
  test('is nothing where they say the same in other objects', () => {
    assert.deepEqual(diff({}), []);
  });

  test('knows every option: none can change unseen, but for the observer', () => {
    const before = resolved();
    for (const key of Object.keys(before) as (keyof ResolvedServerOptions)[]) {
      const other = { ...before, [key]: otherValue(before[key]) };
      const found = diffServerOptions(before, other).length;
      assert.equal(found > 0, key !== 'observer', key);
    }
  });

  test('names settings, and what takes a restart', () => {
    assert.deepEqual(diff({ name: 'node-2', service: '/other', maxHeaderBytes: 1_000, drainMs: 1 }), [
      { type: 'setting-changed', key: 'maxHeaderBytes' },
      { type: 'setting-changed', key: 'drainMs' },
      { type: 'restart-required', key: 'name' },
      { type: 'restart-required', key: 'service' },
    ]);
  });

  test('takes a restart for a socket of systemd that was not handed over: what listens stays', () => {
    const [https, other] = [{ systemd: 'https' }, { systemd: 'other' }];
    const sockets = { https: [3] };
    const types = (listen: ServerOptions['listen']) =>
      diff({ listen, sockets }, { sockets }).map((change) => [change.type, 'key' in change && change.key]);
    assert.deepEqual(types([https]), [['front-door-changed', false]]);
    assert.deepEqual(types([https, other]), [['restart-required', 'listen']]);
  });

  test('names listeners that come and go, not those that stay', () => {
    const [stays, goes, comes] = [443, 444, 445].map((port) => ({ host: '0.0.0.0', port }));
    assert.ok(stays !== undefined && goes !== undefined && comes !== undefined);
    assert.deepEqual(diff({ listen: [comes, stays] }, { listen: [stays, goes] }), [
      { type: 'front-door-changed', added: [comes], removed: [goes] },
    ]);
    assert.deepEqual(diff({ redirect: [] }, { redirect: [goes] }), [
      { type: 'redirect-moved', added: [], removed: [goes] },
    ]);
  });

  test('sees a renewed certificate', () => {
    const [change, ...more] = diff({ certificates: [{ hosts: ['*'], cert: 'another', key: 'its key' }] });
    assert.equal(change?.type, 'certificates-changed');
    assert.deepEqual(more, []);
  });

  test('tells domains apart that came, went, changed; those that went come first', () => {
    const before = [domain({ name: 'gone.test' }), domain({ name: 'stays.test' }), domain({ name: 'other.test' })];
    const after = [
      domain({ name: 'new.test' }),
      domain({ name: 'stays.test' }),
      domain({ name: 'other.test', concurrency: 5 }),
    ];
    const found = diff({ domains: after }, { domains: before });
    assert.deepEqual(
      found.map((change) => [change.type, 'domain' in change ? change.domain.name : null]),
      [
        ['domain-removed', 'gone.test'],
        ['domain-added', 'new.test'],
        ['domain-changed', 'other.test'],
      ],
    );
  });

  test('sees into secrets, which look alike from outside', () => {
    const other = [domain({ secrets: [new Secret('another secret of enough bytes')] })];
    assert.deepEqual(
      diff({ domains: other }).map(({ type }) => type),
      ['domain-changed'],
    );
  });

  test('sees each kind of rule for visitors', () => {
    const rules: DomainOptions['clients'][] = [
      { networks: [{ address: '10.0.0.0', prefix: 8 }] },
      { ranges: ['mon-fri'] },
      { credentials: [{ login: 'one', password: new Secret('a password of enough bytes') }] },
      { banner: 'another' },
    ];
    for (const clients of rules) {
      const changed = [domain({ clients: clients ?? {} })];
      assert.deepEqual(
        diff({ domains: changed }).map(({ type }) => type),
        ['domain-changed'],
        JSON.stringify(clients),
      );
    }
  });
});

describe('the report of a difference', () => {
  test('names what changed of a domain', () => {
    const after = [domain({ concurrency: 5, balance: 'random' })];
    assert.deepEqual(reportChanges(diff({ domains: after })), [
      { what: 'domain', action: 'changed', name: 'www.test', keys: ['concurrency', 'balance'] },
    ]);
  });

  test('tells a default of the server once, not for each domain that follows it', () => {
    assert.deepEqual(reportChanges(diff({ unavailableStatus: 410 })), [{ what: 'option', key: 'unavailableStatus' }]);
  });
});

function otherValue(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'string') return `${value}x`;
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'function') return () => {};
  return Array.isArray(value) && value.length > 0 ? [] : [{ host: '::1', port: 1 }];
}
