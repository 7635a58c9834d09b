import { wildcardOf } from '../core/host-name.ts';
import type { ResolvedDomain } from './resolve-options.ts';

/** What a name means here. */
export interface DomainMatch {
  /** Its policy: of the exact domain, of the domain that `instance` precedes, or of the wildcard that covers it. */
  readonly policy: ResolvedDomain;
  /** The domain that agents register: the name itself, or for `instance.domain` what follows the instance. */
  readonly domain: string;
  /** Set where the name asked for one instance. */
  readonly instance: string | null;
}

/** The configured domains, by name. Constant time whatever their number. */
export class DomainTable {
  readonly #byName: Map<string, ResolvedDomain>;
  #inactive: ReadonlySet<string>;

  /** `inactive`: names that are nobody's, not even of the wildcard that covers them. */
  constructor(domains: readonly ResolvedDomain[], inactive: readonly string[] = []) {
    this.#byName = new Map(domains.map((domain) => [domain.name, domain]));
    this.#inactive = new Set(inactive);
  }

  /**
   * Goes over to other domains, in one turn: `gone` are there no more, `come` are new or in the place of others of their
   * name. Of 10,000 domains only these are touched.
   */
  change(gone: Iterable<ResolvedDomain>, come: Iterable<ResolvedDomain>, inactive: readonly string[]): void {
    for (const { name } of gone) this.#byName.delete(name);
    for (const domain of come) this.#byName.set(domain.name, domain);
    this.#inactive = new Set(inactive);
  }

  get size(): number {
    return this.#byName.size;
  }

  all(): Iterable<ResolvedDomain> {
    return this.#byName.values();
  }

  /** The policy of a domain: exact first, then the wildcard one label up. `name` is canonical. */
  find(name: string): ResolvedDomain | null {
    const exact = this.#byName.get(name);
    if (exact !== undefined) return exact;
    if (this.#inactive.has(name)) return null;
    const wildcard = wildcardOf(name);
    return (wildcard === null ? undefined : this.#byName.get(wildcard)) ?? null;
  }

  /** Resolves a name as a dial does (design, section 2): exact domain, then `instance.domain`, then wildcard domain. */
  resolve(name: string): DomainMatch | null {
    const exact = this.#byName.get(name);
    if (exact !== undefined) return { policy: exact, domain: name, instance: null };
    const dot = name.indexOf('.');
    if (dot > 0 && !this.#inactive.has(name)) {
      const domain = name.slice(dot + 1);
      const policy = this.#byName.get(domain);
      if (policy !== undefined) return { policy, domain, instance: name.slice(0, dot) };
    }
    const wild = this.find(name);
    return wild === null ? null : { policy: wild, domain: name, instance: null };
  }

  /** Why `find` or `resolve` gave null. */
  absence(name: string): 'domain-inactive' | 'domain-unknown' {
    const wildcard = wildcardOf(name);
    const inactive = this.#inactive.has(name) || (wildcard !== null && this.#inactive.has(wildcard));
    return inactive ? 'domain-inactive' : 'domain-unknown';
  }
}
