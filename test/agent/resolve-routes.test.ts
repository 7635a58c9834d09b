import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AgentDomainOptions, TargetAddress } from '../../src/agent/options.ts';
import { resolvePorts, resolveRoutes } from '../../src/agent/resolve-routes.ts';
import { Secret } from '../../src/core/secret.ts';
import { testAuthority } from '../support/certificates.ts';

const TCP: TargetAddress = { kind: 'tcp', host: '127.0.0.1', port: 3000 };

function resolved(given: Partial<AgentDomainOptions>) {
  const problems: string[] = [];
  const routes = resolveRoutes({ name: 'www.test', secret: new Secret('s'), ...given }, (one) => problems.push(one));
  return { routes, problems };
}

describe('routes', () => {
  it('have every value decided, are named by their place, and cannot be changed', () => {
    const { routes, problems } = resolved({ targets: [{ target: TCP }, { name: 'api', target: TCP, path: '^/api/' }] });
    assert.deepEqual(problems, []);
    const plain = { method: null, path: null, rewrite: null, query: {}, host: 'forwarded', proxyProtocol: null };
    assert.deepEqual(routes, [
      { name: '1', ...plain, targets: [{ target: TCP, weight: 1 }] },
      { name: 'api', ...plain, path: '^/api/', targets: [{ target: TCP, weight: 1 }] },
    ]);
    const [first] = routes;
    for (const part of [routes, first, first?.targets, first?.targets[0], first?.targets[0]?.target, first?.query]) {
      assert.ok(Object.isFrozen(part));
    }
  });

  it('are the one target, where there is one alone', () => {
    assert.deepEqual(resolved({ target: TCP }).routes, resolved({ targets: [{ target: TCP }] }).routes);
  });

  it('verify https targets unless they need not', () => {
    const https = { kind: 'https', host: 'app.test', port: 443 } as const;
    const targetOf = (target: TargetAddress) => resolved({ target }).routes[0]?.targets[0]?.target;
    assert.deepEqual(targetOf(https), { ...https, verify: true, ca: null });
    const ca = testAuthority().cert;
    assert.deepEqual(targetOf({ ...https, verify: false, ca }), { ...https, verify: false, ca });
  });

  it('may be none where something else is served, and only there', () => {
    assert.deepEqual(resolved({ ports: { 5432: TCP } }), { routes: [], problems: [] });
    assert.deepEqual(resolved({ handler: () => {} }), { routes: [], problems: [] });
    assert.deepEqual(resolved({}).problems, ['no target is given']);
    assert.deepEqual(resolved({ target: TCP, targets: [{ target: TCP }] }).problems, [
      'both `target` and `targets` are given; one is enough',
    ]);
  });

  const wrong: ReadonlyArray<[given: object, problem: RegExp]> = [
    [{ target: [] }, /list of targets is empty/],
    [{ target: [{ target: TCP, weight: 0 }] }, /`weight` must be 1 to 1000/],
    [{ target: [{ target: TCP, weight: 1.5 }] }, /`weight`/],
    [{ target: { kind: 'unix', path: 'app.sock' } }, /must be absolute/],
    [{ target: { kind: 'tcp', host: 'a', port: 65_536 } }, /port must be 1 to 65535/],
    [{ method: '(' }, /`method` /],
    [{ path: '(?=a)' }, /`path` /],
    [{ rewrite: '/' }, /`rewrite` replaces what `path` matches, which is missing/],
    [{ path: '^/(a)', rewrite: '$2' }, /`rewrite` /],
    [{ host: 'http://a.test' }, /`host` must be/],
    [{ host: 'a.test:0' }, /`host` must be/],
    [{ proxyProtocol: 3 }, /`proxyProtocol` must be 1 or 2/],
  ];
  for (const [given, problem] of wrong) {
    it(`are refused, by name, with ${JSON.stringify(given)}`, () => {
      const { problems } = resolved({ targets: [{ target: TCP }, { name: 'api', target: TCP, ...given }] });
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', new RegExp(`^target api: .*${problem.source}`));
    });
  }

  it('tell every problem at once', () => {
    const { problems } = resolved({ targets: [{ target: TCP, path: '(', method: '(', host: '/' }, { target: [] }] });
    assert.equal(problems.length, 4, problems.join('\n'));
  });
});

describe('ports', () => {
  it('are joined to targets of their own; what is no port, or means `targets`, is refused', () => {
    assert.deepEqual(resolvePorts({ 5432: TCP }, assert.fail), { 5432: TCP });
    const problems: string[] = [];
    resolvePorts({ 0: TCP, 65536: TCP, 80: TCP, 443: TCP, 22: { ...TCP, port: 0 } }, (one) => problems.push(one));
    assert.deepEqual(problems, [
      '`ports`: 0 is not a port',
      "port 22: the target's port must be 1 to 65535",
      '`ports`: 80 always means `targets`',
      '`ports`: 443 always means `targets`',
      '`ports`: 65536 is not a port',
    ]);
  });
});
