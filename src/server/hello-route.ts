import type { ErrorCode } from '../core/errors.ts';
import { canonicalName } from '../core/host-name.ts';
import type { ClientHello } from '../net/client-hello.ts';
import type { Certificates } from './certificates.ts';
import type { DomainTable } from './domain-table.ts';
import type { HostFolder, HostsFolder } from './hosts-folder.ts';
import type { ResolvedDomain } from './resolve-options.ts';
import type { DomainAccess } from './visitor-access.ts';

/** What a ClientHello leads to. */
export type HelloRoute =
  | { readonly kind: 'terminate'; readonly name: string | null; readonly certificate: number }
  /** Its bytes go on as they are, to the domain. */
  | { readonly kind: 'passthrough'; readonly name: string; readonly policy: ResolvedDomain }
  /** The same, to a backend of the hosts folder. */
  | { readonly kind: 'host'; readonly name: string; readonly host: HostFolder }
  /** To be answered as `refuse`: a domain whose TLS would pass, that nobody serves or that, as all names of nobody's here, is none. */
  | { readonly kind: 'hide'; readonly name: string; readonly policy: ResolvedDomain; readonly reason: ErrorCode }
  | { readonly kind: 'refuse'; readonly reason: ErrorCode; readonly name: string | null; readonly detail: string };

/** What is looked at to route a hello. */
export interface HelloRouterOptions {
  readonly domains: () => DomainTable;
  readonly access: { of(domain: ResolvedDomain | null): Pick<DomainAccess, 'refusal'> };
  /** Whether a domain has somebody to take its streams. */
  readonly serves: (domain: string) => boolean;
  readonly hosts: Pick<HostsFolder, 'find' | 'fallback'>;
}

/** How a hello came. */
interface Came {
  readonly remote: string;
  readonly certificates: Certificates;
}

/** What a name leads to that is no domain's. */
interface Found {
  readonly host: HostFolder | null;
  /** Whether the hosts folder was asked for its fallback, and not for this name alone. */
  readonly isFallback: boolean;
  /** Index of the entry of `certificates`; -1: none. */
  readonly certificate: number;
}

const MAX_NAME_IN_LOG = 254;

/**
 * Decides by the name in SNI: the domain, exact or by its wildcard; the hosts folder; an entry of `certificates` (features
 * 2.1). In one turn, because the socket has to be handed over in that of its hello.
 */
export class HelloRouter {
  readonly #options: HelloRouterOptions;

  constructor(options: HelloRouterOptions) {
    this.#options = options;
  }

  /** `remote`: the visitor, `ip:port`; `certificates`: those of the front door. */
  route({ serverName }: ClientHello, remote: string, certificates: Certificates): HelloRoute {
    const name = serverName === null ? null : canonicalName(serverName);
    // Unlike Host, a name in SNI has no trailing dot (RFC 6066, section 3).
    if (serverName !== null && (name === null || serverName.endsWith('.'))) {
      const detail = `SNI ${JSON.stringify(serverName.slice(0, MAX_NAME_IN_LOG))}`;
      return { kind: 'refuse', reason: 'name-invalid', name: null, detail };
    }
    return name === null ? terminate(null, certificates) : this.#routeByName(name, remote, certificates);
  }

  #routeByName(name: string, remote: string, certificates: Certificates): HelloRoute {
    const policy = this.#options.domains().find(name);
    if (policy?.tls === 'passthrough') return this.#pass(name, policy, { remote, certificates });
    const isInactive = this.#options.domains().absence(name) === 'domain-inactive';
    if (policy !== null || isInactive) return terminate(name, certificates);
    return this.#ofNobody(name, remote, certificates);
  }

  #pass(name: string, policy: ResolvedDomain, { remote, certificates }: Came): HelloRoute {
    const forbidden = this.#options.access.of(policy).refusal(remote);
    const isServed = this.#options.serves(name);
    if (forbidden === null && isServed) return { kind: 'passthrough', name, policy };
    // Also where it is for the time only: a name of nobody's costs as much (design 6.5).
    const { host, isFallback, certificate } = this.#lookUp(name, certificates);
    // Who may not know of the domain finds what a name of nobody's leads to, but never a backend of this very name.
    if (forbidden !== null && host !== null && isFallback) return { kind: 'host', name, host };
    if (forbidden !== null && host === null && certificate !== -1) return { kind: 'terminate', name, certificate };
    return { kind: 'hide', name, policy, reason: forbidden ?? 'domain-unserved' };
  }

  #ofNobody(name: string, remote: string, certificates: Certificates): HelloRoute {
    this.#options.access.of(null).refusal(remote);
    const { host, certificate } = this.#lookUp(name, certificates);
    if (host !== null) return { kind: 'host', name, host };
    return certificate === -1 ? missing(name) : { kind: 'terminate', name, certificate };
  }

  /** An entry of `certificates` for this very name is one of a name that is in use here; only `*` comes after the fallback. */
  #lookUp(name: string, certificates: Certificates): Found {
    const { hosts } = this.#options;
    const certificate = certificates.select(name);
    const host = hosts.find(name);
    if (host !== null || (certificate !== -1 && certificate !== certificates.select(null)))
      return { host, isFallback: false, certificate };
    return { host: hosts.fallback(), isFallback: true, certificate };
  }
}

function terminate(name: string | null, certificates: Certificates): HelloRoute {
  const certificate = certificates.select(name);
  return certificate === -1 ? missing(name) : { kind: 'terminate', name, certificate };
}

function missing(name: string | null): HelloRoute {
  return { kind: 'refuse', reason: 'certificate-missing', name, detail: name ?? 'no SNI' };
}
