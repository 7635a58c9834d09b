import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import type { DomainTargets } from '../../src/agent/domain-targets.ts';
import type { ResolvedTarget } from '../../src/agent/resolve-routes.ts';
import { BackdialError } from '../../src/core/errors.ts';
import type { Way } from '../../src/core/events.ts';
import { EventLog } from '../support/event-log.ts';
import { testRoute, testTargets } from '../support/routes.ts';

function tcp(port: number, host = '127.0.0.1'): ResolvedTarget {
  return { kind: 'tcp', host, port };
}

const DATABASE: ResolvedTarget = { kind: 'tcp', host: '127.0.0.1', port: 5_432 };

/** Where a stream goes: `target`, `exchanges`, `database`, or the code of the refusal. */
function destination(
  targets: DomainTargets,
  authority: string,
  way: Way,
  server = 'server.test:443',
  http = false,
): string {
  try {
    const head = { authority, way, http: http || way === 'https', client: null, transaction: '' };
    const found = targets.wayOf(head, server);
    if (found.kind !== 'bytes') return found.kind;
    return found.group.members[0]?.target === DATABASE ? 'database' : 'target';
  } catch (error) {
    return error instanceof BackdialError ? error.code : assert.fail(String(error));
  }
}

describe('where streams go', () => {
  const one = testRoute(tcp(1));
  const cases: ReadonlyArray<[authority: string, way: Way, plain: string, filtered: string, none: string]> = [
    ['www.test', 'proxy', 'target', 'no-route', 'no-route'],
    ['one.www.test:80', 'proxy', 'target', 'no-route', 'no-route'],
    ['www.test:443', 'https', 'exchanges', 'exchanges', 'no-route'],
    ['www.test:8443', 'https', 'exchanges', 'exchanges', 'no-route'],
    ['www.test:5432', 'https', 'exchanges', 'exchanges', 'no-route'],
    ['www.test:8443', 'tls', 'target', 'no-route', 'no-route'],
    ['www.test:443', 'tcp', 'target', 'no-route', 'no-route'],
    ['www.test:22', 'tcp', 'target', 'no-route', 'no-route'],
    ['www.test:22', 'library', 'port-unknown', 'port-unknown', 'port-unknown'],
    ['www.test:5432', 'tcp', 'database', 'database', 'database'],
    ['www.test:5432', 'library', 'database', 'database', 'database'],
    ['www.test:', 'library', 'port-unknown', 'port-unknown', 'port-unknown'],
    ['www.test:443:443', 'library', 'port-unknown', 'port-unknown', 'port-unknown'],
  ];
  const ports = { 5432: DATABASE };
  for (const [authority, way, plain, filtered, none] of cases) {
    test(`${authority} by ${way}: ${plain}; with a filter ${filtered}; without targets ${none}`, () => {
      assert.equal(destination(testTargets([one], { ports }), authority, way), plain);
      assert.equal(destination(testTargets([], { ports }), authority, way), none);
      const filters = [{ path: '^/' }, { method: 'GET' }, { host: 'target' }, { query: { a: null } }];
      for (const filter of filters) {
        assert.equal(destination(testTargets([{ ...one, ...filter }], { ports }), authority, way), filtered);
      }
      assert.equal(destination(testTargets([one, one], { ports }), authority, way), filtered);
    });
  }
});

test('HTTP of any way is routed where it means the targets; what is left is bytes of a port', () => {
  const one = testRoute(tcp(1));
  const targets = testTargets([one, one], { ports: { 5432: DATABASE } });
  for (const way of ['proxy', 'connect', 'library'] satisfies Way[]) {
    const of = (authority: string) => destination(targets, authority, way, 'server.test:443', true);
    assert.deepEqual(['www.test', 'one.www.test:80', 'www.test:443', 'www.test:5432', 'www.test:22'].map(of), [
      'exchanges',
      'exchanges',
      'exchanges',
      'database',
      'port-unknown',
    ]);
  }
});

test('a port that is exposed is its destination for TCP visitors of that server, 80 and 443 included', () => {
  for (const port of [80, 443, 9_000]) {
    const targets = testTargets([testRoute(tcp(1))]);
    targets.expose({ port, server: 'server.test:443' }, DATABASE);
    const authority = `www.test:${port}`;
    assert.equal(destination(targets, authority, 'tcp'), 'database');
    assert.equal(destination(targets, authority, 'tcp', 'other.test:443'), 'target');
    assert.equal(destination(targets, authority, 'https'), 'exchanges');
    assert.equal(destination(targets, authority, 'library'), port === 9_000 ? 'database' : 'target');
    targets.unexpose({ port, server: 'server.test:443' });
    assert.equal(destination(targets, authority, 'tcp'), 'target');
  }
});

describe('the targets of a domain', () => {
  const routed = testTargets([
    testRoute(tcp(1), { name: 'posts', method: '^POST$' }),
    testRoute(tcp(2), { name: 'api', path: '^/api/', rewrite: '/' }),
    testRoute(tcp(3), { name: 'slow', path: '^/(a|b|ab|ba|aab|bba)*(c|d|cd|dc)*$' }),
    testRoute(tcp(4), { name: 'pages', path: '^/' }),
  ]);
  const request = { host: 'www.test', port: null, authority: 'www.test', headers: [], framing: 'none' } as const;
  const rest = { upgrade: null, trailers: false, via: '', forwardedFor: '', userAgent: null, referer: null } as const;

  /** The port of the target that a request goes to, and as what. */
  function taken(method: string, target: string): [port: number, target: string] {
    const found = routed.routeOf({ ...request, ...rest, method, target, headers: [] });
    const member = found.route.group.members[0]?.target;
    return [member?.kind === 'tcp' ? member.port : 0, found.target];
  }

  it('are asked in their order: the first that takes a request has it, as it makes it', () => {
    assert.deepEqual(taken('POST', '/api/x'), [1, '/api/x']);
    assert.deepEqual(taken('GET', '/api/x?y'), [2, '/x?y']);
    assert.deepEqual(taken('GET', '/abab'), [3, '/abab']);
    assert.deepEqual(taken('GET', '/index.html'), [4, '/index.html']);
  });

  it('leave a request alone that none takes, and one of which a pattern cannot tell in time', () => {
    assert.throws(() => taken('OPTIONS', '*'), { code: 'no-route' });
    assert.throws(() => taken('GET', `/${'ab'.repeat(30_000)}!`), {
      code: 'no-route',
      message: /too long for a pattern/,
    });
  });

  it('are reached by one set of connections each, whatever stream asks', () => {
    const targets = testTargets([testRoute(tcp(1)), testRoute(tcp(1))]);
    const members = ['/a', '/b'].map((target) => {
      const { route } = targets.routeOf({ ...request, ...rest, method: 'GET', target, headers: [] });
      return route.group.members[0] ?? assert.fail('no member');
    });
    const [first, second] = members.map((member) => targets.connectionsTo(member));
    assert.equal(first, second);
    targets.close();
  });

  it('may be joined to further ports for a while, for streams of one server', () => {
    const targets = testTargets([testRoute(tcp(1))]);
    const exposed = { port: 9090, server: 'server.test:443' };
    const ask = (server?: string) => destination(targets, 'www.test:9090', 'library', server);
    assert.equal(ask(), 'port-unknown');
    targets.expose(exposed, DATABASE);
    assert.equal(ask(), 'database');
    assert.equal(ask('other.test:443'), 'port-unknown');
    targets.unexpose(exposed);
    assert.equal(ask(), 'port-unknown');
  });

  it('of several that share a load tell of the one that is avoided, as people write it', async () => {
    const events = new EventLog();
    const https: ResolvedTarget = { kind: 'https', host: 'app.test', port: 8443, verify: true, ca: null };
    const shared = { name: 'api', targets: [https, tcp(1)].map((target) => ({ target, weight: 1 })) };
    const { observer } = events;
    const { route } = testTargets([testRoute(https, shared)], { observer }).routeOf({
      ...request,
      ...rest,
      method: 'GET',
      target: '/',
      headers: [],
    });
    const refused = new BackdialError('target-refused', 'nobody listens');
    const opened = route.group.open(async ({ target }) => {
      if (target === https) throw refused;
      return target;
    }, new AbortController().signal);
    assert.deepEqual(await opened, tcp(1));
    const [warning] = await events.until('warning');
    assert.equal(warning?.code, 'target-refused');
    assert.equal(warning?.message, `www.test: target api: https://app.test:8443 is avoided: ${refused.message}`);
  });
});
