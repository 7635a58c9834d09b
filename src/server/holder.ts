import { isIP } from 'node:net';
import { allowsConnection, isInRange } from '../core/connect-grant.ts';
import { covers } from '../core/host-name.ts';
import { NetworkList } from '../net/networks.ts';
import type { DomainTable } from './domain-table.ts';
import type { DestinationGrant } from './options.ts';
import type { ResolvedGrants, ResolvedIdentity } from './resolve-grants.ts';
import type { ResolvedDomain } from './resolve-options.ts';

/** Whose grants count: an identity of the server's file, or whoever serves a domain. */
export type GrantOwner =
  | { readonly kind: 'identity'; readonly identity: ResolvedIdentity }
  | { readonly kind: 'domain'; readonly policy: ResolvedDomain };

/** The list of a grant; `own`: no grant was needed. */
export type GrantKey = keyof ResolvedGrants | 'own';

/** The answer to "may it?": which grant says so, or which one is missing (for the log; strangers are not told). */
export type Verdict =
  | { readonly granted: true; readonly owner: GrantOwner; readonly key: GrantKey; readonly index: number }
  | { readonly granted: false; readonly missing: string };

/**
 * Who has proven something: which identity, or whose domain's secret. Asked for every claim, port, dial and stream, it
 * answers by the grants of the moment when it was made: see {@link Holder.isCurrent}.
 */
export class Holder {
  readonly owners: readonly GrantOwner[];
  readonly #domains: () => DomainTable;

  constructor(owners: readonly GrantOwner[], domains: () => DomainTable) {
    this.owners = owners;
    this.#domains = domains;
  }

  /** For logs: `identity ci, domain www.example.com`. */
  get name(): string {
    return this.owners.map(nameOf).join(', ');
  }

  /** This holder as one that serves a domain: with the grants of that domain's file. Ask {@link mayClaim} first. */
  serving(domain: string): Holder {
    const policy = this.#domains().find(domain);
    if (policy === null || this.owners.some((owner) => owner.kind === 'domain' && owner.policy === policy)) return this;
    return new Holder([...this.owners, { kind: 'domain', policy }], this.#domains);
  }

  /** Whether all that was proven is still configured as it was then. `identities`: those in force. */
  isCurrent(identities: readonly ResolvedIdentity[]): boolean {
    return this.owners.every((owner) =>
      owner.kind === 'identity'
        ? identities.includes(owner.identity)
        : this.#domains().find(owner.policy.name) === owner.policy,
    );
  }

  /** May it serve this domain? Its own; for a wildcard's, every name that the wildcard's file rules; what is granted. */
  mayClaim(domain: string): Verdict {
    const policy = this.#domains().find(domain);
    const owner = this.owners.find((each) => each.kind === 'domain' && each.policy === policy);
    if (owner !== undefined) return { granted: true, owner, key: 'own', index: 0 };
    return this.#look('domains', domain, ({ domains }) => domains.findIndex((pattern) => covers(pattern, domain)));
  }

  /** May the server open this TCP port for it? */
  mayOpenPort(port: number): Verdict {
    return this.#look('ports', `${port}`, ({ ports }) => ports.findIndex((range) => isInRange(range, port)));
  }

  /**
   * May the server dial this for it? `host` is what was asked for (a canonical name, or an IP address), `address` the IP
   * address that is going to be dialled. Null: before the name is resolved; then it is granted where a grant might allow some
   * address of it, so that a name nobody may reach is never looked up.
   */
  mayReachDestination(host: string, port: number, address: string | null): Verdict {
    const asked = address === null || address === host ? `${host}:${port}` : `${host}:${port} (${address})`;
    return this.#look('destinations', asked, ({ destinations }) =>
      destinations.findIndex(
        (grant) => (grant.ports === null || isInRange(grant.ports, port)) && leads(grant, host, address),
      ),
    );
  }

  /** May it reach this name (canonical: a domain, or an instance of one) through the server? `port` null: none was named. */
  mayConnect(name: string, port: number | null): Verdict {
    const domain = this.#domains().resolve(name)?.domain ?? name;
    const asked = port === null ? name : `${name}:${port}`;
    return this.#look('connect', asked, ({ connect }) =>
      connect.findIndex((grant) => allowsConnection(grant, { name, domain, port })),
    );
  }

  #look(key: keyof ResolvedGrants, asked: string, find: (grants: ResolvedGrants) => number): Verdict {
    for (const owner of this.owners) {
      const index = find(owner.kind === 'identity' ? owner.identity : owner.policy.grants);
      if (index !== -1) return { granted: true, owner, key, index };
    }
    return { granted: false, missing: `no grant of \`${key}\` allows ${asked} to ${this.name}` };
  }
}

function nameOf(owner: GrantOwner): string {
  return owner.kind === 'identity' ? `identity ${owner.identity.identity}` : `domain ${owner.policy.name}`;
}

function leads({ host: granted }: DestinationGrant, host: string, address: string | null): boolean {
  if (typeof granted === 'string') return covers(granted, host);
  const known = address ?? (isIP(host) === 0 ? null : host);
  return known === null || new NetworkList([granted]).has(known);
}
