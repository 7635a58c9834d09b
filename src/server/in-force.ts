import { sameValue } from '../core/same-value.ts';
import type { Secret } from '../core/secret.ts';
import type { Certificates } from './certificates.ts';
import type { ServerChange } from './change.ts';
import { DomainTable } from './domain-table.ts';
import { DoorCertificates } from './door-certificates.ts';
import { grantedDomains, type ResolvedDomain, type ResolvedServerOptions } from './resolve-options.ts';

/** What a server runs with at this moment. Its parts look here whenever they need a value, and keep none. */
export class InForce {
  /** One object for ever; its values change. */
  readonly options: ResolvedServerOptions;
  readonly domains = (): DomainTable => this.#domains;
  /** Those of all front doors that have none of their own. */
  readonly certificates = (): Certificates => this.#doors.shared;
  readonly doors = (): DoorCertificates => this.#doors;
  readonly #domains: DomainTable;
  #doors: DoorCertificates;
  /** What rules the names that have no file. */
  #granted: readonly ResolvedDomain[];

  /** Fails with `config-invalid` where a certificate cannot be used. */
  constructor(options: ResolvedServerOptions) {
    this.options = { ...options };
    this.#granted = grantedDomains(options);
    this.#domains = new DomainTable(options.domains, options.inactive, this.#granted);
    this.#doors = new DoorCertificates(options);
  }

  /**
   * Puts changes into force, all in one turn. Fails with `config-invalid` where a certificate cannot be used; nothing is
   * changed then. What takes a restart stays as it is.
   */
  take(changes: readonly ServerChange[], next: ResolvedServerOptions): void {
    const renewed = changes.some(({ type }) => type === 'certificates-changed');
    const fixed = changes.flatMap((change) => (change.type === 'restart-required' ? [change.key] : []));
    const kept = Object.fromEntries(Object.entries(this.options).filter(([key]) => fixed.includes(key)));
    const doors = new DoorCertificates({ ...next, ...kept }, this.#doors, renewed);
    const gone = changes.flatMap((change) => (change.type === 'domain-removed' ? [change.domain] : []));
    const come = changes.flatMap((change) => (isNews(change) ? [change.domain] : []));
    this.#granted = reuse(this.#granted, grantedDomains(next));
    this.#domains.change(gone, come, next.inactive, this.#granted);
    // Domains and identities that did not change stay the same objects: what was worked out for them holds.
    const domains = next.domains.map((domain) => this.#domains.find(domain.name) ?? domain);
    const grants = reuse(this.options.grants, next.grants);
    Object.assign(this.options, next, kept, { observer: this.options.observer, domains, grants });
    this.#doors = doors;
  }
}

/** The new list, with the old objects where they say the same. */
function reuse<T>(before: readonly T[], after: readonly T[]): readonly T[] {
  return after.map((each) => before.find((old) => sameValue(old, each)) ?? each);
}

function isNews(change: ServerChange) {
  return change.type === 'domain-added' || change.type === 'domain-changed';
}

/** What agents, and who reaches in, may show. */
export function secretLists({ domains, grants }: ResolvedServerOptions): (readonly Secret[])[] {
  return [...domains, ...grants].map(({ secrets }) => secrets);
}
