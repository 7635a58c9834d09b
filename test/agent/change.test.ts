import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { diffAgentOptions } from '../../src/agent/change.ts';
import type { AgentDomainOptions, AgentOptions } from '../../src/agent/options.ts';
import {
  type ResolvedAgentDomain,
  type ResolvedAgentOptions,
  resolveAgentOptions,
} from '../../src/agent/resolve-options.ts';
import { Secret } from '../../src/core/secret.ts';
import { testDomain } from '../support/with-agent.ts';

function resolved(domains: readonly AgentDomainOptions[], given: Partial<AgentOptions> = {}): ResolvedAgentOptions {
  return resolveAgentOptions({ domains, ...given }, { leastDomains: 0 });
}

function diffDomain(given: Partial<AgentDomainOptions>) {
  return diffAgentOptions(resolved([testDomain()]), resolved([testDomain(given)]));
}

describe('the difference of two configurations of an agent', () => {
  test('is nothing where they say the same in other objects', () => {
    assert.deepEqual(diffDomain({}), []);
  });

  test('knows every option: none can change unseen, but for the observer', () => {
    const before = resolved([testDomain()]);
    for (const key of Object.keys(before) as (keyof ResolvedAgentOptions)[]) {
      const other = { ...before, [key]: otherValue(before[key]) };
      assert.equal(diffAgentOptions(before, other).length > 0, key !== 'observer', key);
    }
  });

  test('knows every option of a domain', () => {
    const before = resolved([testDomain()]);
    const [domain] = before.domains;
    assert.ok(domain !== undefined);
    for (const key of Object.keys(domain) as (keyof ResolvedAgentDomain)[]) {
      const other = { ...before, domains: [{ ...domain, [key]: otherValue(domain[key]) }] };
      assert.notDeepEqual(diffAgentOptions(before, other), [], key);
    }
  });

  const relinks: readonly (readonly [what: string, given: Partial<AgentDomainOptions>, relink: boolean])[] = [
    ['secret', { secret: new Secret('another secret of enough bytes') }, true],
    ['server', { remote: ['other.test'] }, true],
    ['server besides', { remote: ['www.test', 'other.test'] }, false],
    ['instance', { instance: 'two' }, true],
    ['number of connections', { connections: 3 }, true],
    ['trust', { insecure: true }, true],
    ['target', { target: { kind: 'tcp', host: '127.0.0.1', port: 2 } }, false],
    ['claim', { claims: [9090] }, false],
  ];
  for (const [what, given, relink] of relinks) {
    test(`makes ${relink ? 'new tunnels' : 'no new tunnel'} for another ${what}`, () => {
      const [change, ...more] = diffDomain(given);
      assert.equal(change?.type, 'domain-changed');
      assert.equal('relink' in change && change.relink, relink);
      assert.deepEqual(more, []);
    });
  }

  test('tells domains apart that came and went', () => {
    const found = diffAgentOptions(resolved([testDomain({ name: 'old.test' })]), resolved([testDomain()]));
    assert.deepEqual(
      found.map(({ type }) => type),
      ['domain-removed', 'domain-added'],
    );
  });

  test('names what takes a restart', () => {
    const found = diffAgentOptions(resolved([]), resolved([], { proxyEnvironment: { NO_PROXY: '*' }, drainMs: 1 }));
    assert.deepEqual(found, [
      { type: 'setting-changed', key: 'drainMs' },
      { type: 'restart-required', key: 'proxyEnvironment' },
    ]);
  });
});

function otherValue(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string' || value === null) return `${value}x`;
  if (typeof value === 'function') return () => {};
  if (Array.isArray(value)) return value.length > 0 ? [] : [1];
  return { HTTPS_PROXY: 'http://proxy.test' };
}
