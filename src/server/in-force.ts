import { Certificates } from './certificates.ts';
import type { ServerChange } from './change.ts';
import { DomainTable } from './domain-table.ts';
import type { ResolvedDomain, ResolvedServerOptions } from './resolve-options.ts';

/** What a server runs with at this moment. Its parts look here whenever they need a value, and keep none. */
export class InForce {
  /** One object for ever; its values change. */
  readonly options: ResolvedServerOptions;
  readonly domains = (): DomainTable => this.#domains;
  readonly certificates = (): Certificates => this.#certificates;
  #domains: DomainTable;
  #certificates: Certificates;

  /** Fails with `config-invalid` where a certificate cannot be used. */
  constructor(options: ResolvedServerOptions) {
    this.options = { ...options };
    this.#domains = new DomainTable(options.domains, options.inactive);
    this.#certificates = new Certificates(options.certificates);
  }

  /**
   * Puts changes into force, all in one turn. Fails with `config-invalid` where a certificate cannot be used; nothing is
   * changed then. What takes a restart stays as it is.
   */
  take(changes: readonly ServerChange[], next: ResolvedServerOptions): void {
    const certificates = changes.some(({ type }) => type === 'certificates-changed')
      ? new Certificates(next.certificates)
      : this.#certificates;
    const fixed = changes.flatMap((change) => (change.type === 'restart-required' ? [change.key] : []));
    const kept = Object.fromEntries(Object.entries(this.options).filter(([key]) => fixed.includes(key)));
    const domains = this.#follow(changes, next);
    Object.assign(this.options, next, kept, { observer: this.options.observer, domains });
    this.#certificates = certificates;
    this.#domains = new DomainTable(domains, next.inactive);
  }

  /** Domains that did not change stay the same objects: what was worked out for them holds. */
  #follow(changes: readonly ServerChange[], next: ResolvedServerOptions): readonly ResolvedDomain[] {
    const changed = new Set<ResolvedDomain>();
    for (const change of changes) {
      if (change.type === 'domain-added' || change.type === 'domain-changed') changed.add(change.domain);
    }
    return next.domains.map((domain) => (changed.has(domain) ? domain : this.#domains.find(domain.name)) ?? domain);
  }
}
