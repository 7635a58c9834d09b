import { DomainTargets } from '../../src/agent/domain-targets.ts';
import type { ResolvedRoute, ResolvedTarget } from '../../src/agent/resolve-routes.ts';
import type { Observer } from '../../src/core/events.ts';

/** A route that takes everything and changes nothing, but for `more`. */
export function testRoute(target: ResolvedTarget, more: Partial<ResolvedRoute> = {}): ResolvedRoute {
  return {
    name: '1',
    method: null,
    path: null,
    targets: [{ target, weight: 1 }],
    rewrite: null,
    query: {},
    host: 'forwarded',
    proxyProtocol: null,
    ...more,
  };
}

/** What the streams of a domain are joined to. */
export function testTargets(
  routes: readonly ResolvedRoute[],
  more: { ports?: Readonly<Record<number, ResolvedTarget>>; observer?: Observer } = {},
): DomainTargets {
  const { ports = {}, observer = () => {} } = more;
  return new DomainTargets({ name: 'www.test', targets: routes, handler: null, ports }, observer);
}
