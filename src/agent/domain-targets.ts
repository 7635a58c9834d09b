import { formatAddress, parseHostPort } from '../core/address.ts';
import { BackdialError } from '../core/errors.ts';
import type { Observer } from '../core/events.ts';
import type { RequestHead } from '../net/head-check.ts';
import type { StreamHead } from '../tunnel/types.ts';
import type { StreamHandler } from './handler.ts';
import type { ResolvedAgentDomain } from './resolve-options.ts';
import type { ResolvedTarget } from './resolve-routes.ts';
import { Route } from './route.ts';
import { TargetConnections } from './target-connections.ts';
import { type GroupMember, TargetGroup } from './target-group.ts';

/** Where a stream goes: bytes as they are to a group, or HTTP by the routes. */
export type Way =
  | { readonly kind: 'bytes'; readonly group: TargetGroup; readonly proxyProtocol: 1 | 2 | null }
  | { readonly kind: 'handler'; readonly handler: StreamHandler }
  /** `only` is the route that takes all there is; null where the request has to be seen first. */
  | { readonly kind: 'exchanges'; readonly only: Route | null };

/** A route and what it makes of a request's target. */
export interface Taken {
  readonly route: Route;
  readonly target: string;
}

/** What the streams of one domain are joined to, and what is known of it: connections, and which targets fail. */
export class DomainTargets {
  readonly #routes: readonly Route[];
  readonly #handler: StreamHandler | null;
  readonly #ports: ReadonlyMap<number, TargetGroup>;
  /** By port and server. */
  readonly #exposed = new Map<string, TargetGroup>();
  readonly #connections = new Map<GroupMember, TargetConnections>();

  constructor(domain: Pick<ResolvedAgentDomain, 'name' | 'targets' | 'handler' | 'ports'>, observer: Observer) {
    const { name, targets, handler, ports } = domain;
    this.#handler = handler;
    this.#routes = targets.map((route) => {
      const memberOnFail = (target: ResolvedTarget, error: BackdialError): void => {
        const message = `${name}: target ${route.name}: ${labelOf(target)} is avoided: ${error.message}`;
        observer({ type: 'warning', code: error.code, message });
      };
      const memberOnReturn = (target: ResolvedTarget, awayMs: number): void => {
        observer({ type: 'target-back', domain: name, route: route.name, target: labelOf(target), awayMs });
      };
      return new Route(route, { memberOnFail, memberOnReturn });
    });
    this.#ports = new Map(
      Object.entries(ports).map(([port, target]) => {
        return [Number(port), groupOf(target)];
      }),
    );
  }

  /** Joins a port, for streams of one server, to a target that the configuration does not know. */
  expose({ port, server }: { readonly port: number; readonly server: string }, target: ResolvedTarget): void {
    this.#exposed.set(`${port} ${server}`, groupOf(target));
  }

  unexpose({ port, server }: { readonly port: number; readonly server: string }): void {
    this.#exposed.delete(`${port} ${server}`);
  }

  /**
   * Where a stream goes (design, section 2): the ways `https` and `tls` mean `targets`, whatever port the front door has, and
   * so do names without a port, or with 80 or 443, unless an exposure asked for a TCP listener there. Any other port means its
   * entry of `ports`; a domain's own TCP listener falls back to the only target. Bytes that are not read pass only where there
   * is nothing to filter or to change; HTTP is routed, whoever sent it.
   *
   * `server` is the label of the one that the stream came from. Fails with `port-unknown` or `no-route`.
   */
  wayOf({ authority, way, http }: StreamHead, server: string): Way {
    const parsed = authority.includes(':') ? parseHostPort(authority) : { port: 443 };
    const isTarget = way === 'https' || way === 'tls' || parsed?.port === 80 || parsed?.port === 443;
    if (!isTarget || way === 'tcp') {
      const group = parsed === null ? undefined : this.#groupOf(parsed.port, server);
      if (group !== undefined) return { kind: 'bytes', group, proxyProtocol: null };
      if (way !== 'tcp') throw new BackdialError('port-unknown', authority);
    }
    if (this.#handler !== null) return { kind: 'handler', handler: this.#handler };
    const only = this.#routes.length === 1 ? (this.#routes[0] ?? null) : null;
    if (http) {
      if (this.#routes.length === 0) throw new BackdialError('no-route', 'there are no `targets`');
      return { kind: 'exchanges', only };
    }
    if (only === null || !only.isPlain) throw new BackdialError('no-route', 'bytes cannot be routed');
    return { kind: 'bytes', group: only.group, proxyProtocol: only.proxyProtocol };
  }

  #groupOf(port: number, server: string): TargetGroup | undefined {
    return this.#ports.get(port) ?? (this.#exposed.size === 0 ? undefined : this.#exposed.get(`${port} ${server}`));
  }

  /** The first route that takes a request. Fails with `no-route`. */
  routeOf(head: RequestHead): Taken {
    for (const route of this.#routes) {
      const target = route.take(head);
      // Rather nowhere than to a route behind the one that was meant.
      if (target === 'exhausted') throw new BackdialError('no-route', 'the request is too long for a pattern');
      if (target !== null) return { route, target };
    }
    throw new BackdialError('no-route');
  }

  /** The connections to a target that all streams share. */
  connectionsTo(member: GroupMember): TargetConnections {
    const known = this.#connections.get(member);
    if (known !== undefined) return known;
    const connections = new TargetConnections(member.target, null);
    this.#connections.set(member, connections);
    return connections;
  }

  /** Ends what is free; what is in use ends with its stream or exchange. */
  close(): void {
    for (const connections of this.#connections.values()) connections.close();
  }
}

function groupOf(target: ResolvedTarget): TargetGroup {
  return new TargetGroup([{ target, weight: 1 }], { memberOnFail: () => {}, memberOnReturn: () => {} });
}

/** A target as people write it. */
function labelOf(target: ResolvedTarget): string {
  return target.kind === 'https' ? `https://${formatAddress(target)}` : formatAddress(target);
}
