import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ResolvedRoute } from '../../src/agent/resolve-routes.ts';
import { Route } from '../../src/agent/route.ts';
import { testRoute } from '../support/routes.ts';

const TARGET = { kind: 'tcp', host: '10.0.0.1', port: 80 } as const;
const route = (more: Partial<ResolvedRoute>) =>
  new Route(testRoute(TARGET, more), { memberOnFail: () => {}, memberOnReturn: () => {} });
const take = (more: Partial<ResolvedRoute>, target: string, method = 'GET') => route(more).take({ method, target });

describe('a route', () => {
  it('takes what both patterns match, as it is', () => {
    assert.equal(take({}, '//x/../%2e?a'), '//x/../%2e?a');
    assert.equal(take({ method: '^(GET|HEAD)$', path: '^/a/' }, '/a/b?/c'), '/a/b?/c');
    assert.equal(take({ method: '^(GET|HEAD)$', path: '^/a/' }, '/a/b', 'POST'), null);
    assert.equal(take({ path: '^/a/' }, '/b?/a/'), null, 'the query is none of the path');
    assert.equal(take({ path: 'a' }, '*', 'OPTIONS'), null);
  });

  it('puts the replacement in the place of the match, and a slash in front where there is none', () => {
    assert.equal(take({ path: '^/api/', rewrite: '/' }, '/api/x?y'), '/x?y');
    assert.equal(take({ path: '^/api', rewrite: '' }, '/api'), '/');
    assert.equal(take({ path: '^/(\\w+)/(?<id>\\d+)$', rewrite: '/$<id>/$1/$$/$&' }, '/a/1?q=1'), '/1/a/$//a/1?q=1');
    assert.equal(take({ path: 'b+', rewrite: 'x' }, '/abba'), '/axa', 'the first match alone');
  });

  it('says the host that the target wants', () => {
    const hostFor = (host: string, target: Parameters<Route['hostFor']>[0]) => route({ host }).hostFor(target);
    assert.equal(hostFor('forwarded', TARGET), null);
    assert.equal(hostFor('target', TARGET), '10.0.0.1');
    assert.equal(hostFor('target', { ...TARGET, port: 8080 }), '10.0.0.1:8080');
    assert.equal(hostFor('target', { kind: 'tcp', host: '::1', port: 81 }), '[::1]:81');
    assert.equal(hostFor('target', { kind: 'tcp', host: 'fe80::1%eth0', port: 81 }), '[fe80::1]:81');
    assert.equal(hostFor('target', { kind: 'unix', path: '/x' }), 'localhost');
    const https = { kind: 'https', host: 'a.test', port: 443, verify: true, ca: null } as const;
    assert.equal(hostFor('target', https), 'a.test');
    assert.equal(hostFor('other.test:1', TARGET), 'other.test:1');
  });

  it('is plain, so that bytes may pass unread, where it filters and changes nothing', () => {
    assert.equal(route({}).isPlain, true);
    assert.equal(route({ proxyProtocol: 1 }).isPlain, true);
    for (const more of [{ method: 'GET' }, { path: '/' }, { query: { a: null } }, { host: 'target' }]) {
      assert.equal(route(more).isPlain, false, JSON.stringify(more));
    }
  });

  it('does not tell, within its time, of a text that is too long for its pattern', () => {
    assert.equal(take({ path: '^/(a|b|ab|ba|aab|bba)*(c|d|cd|dc)*$' }, `/${'ab'.repeat(30_000)}!`), 'exhausted');
  });
});
