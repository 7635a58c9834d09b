import { wildcardOf } from './host-name.ts';

/** What a name means here. */
export interface NameMatch<D> {
  /** Its policy: of the exact domain, of the domain that `instance` precedes, or of the wildcard that covers it. */
  readonly policy: D;
  /** The domain that agents register: the name itself, or for `instance.domain` what follows the instance. */
  readonly domain: string;
  /** Set where the name asked for one instance. */
  readonly instance: string | null;
}

/** The configured domains, by name. Constant time whatever their number. */
export class NameTable<D extends { readonly name: string }> {
  readonly #byName: Map<string, D>;
  #inactive: ReadonlySet<string>;
  /** Those without a file, by the name or pattern that is granted. */
  #granted: ReadonlyMap<string, D>;

  /**
   * `inactive`: names that are nobody's, not even of the wildcard that covers them. `granted`: what rules names that have no
   * file, not even a wildcard's.
   */
  constructor(domains: readonly D[], inactive: readonly string[] = [], granted: readonly D[] = []) {
    this.#byName = byName(domains);
    this.#inactive = new Set(inactive);
    this.#granted = byName(granted);
  }

  /**
   * Goes over to other domains, in one turn: `gone` are there no more, `come` are new or in the place of others of their
   * name. Of 10,000 domains only these are touched.
   */
  change(gone: Iterable<D>, come: Iterable<D>, inactive: readonly string[], granted: readonly D[] = []): void {
    for (const { name } of gone) this.#byName.delete(name);
    for (const domain of come) this.#byName.set(domain.name, domain);
    this.#inactive = new Set(inactive);
    this.#granted = byName(granted);
  }

  get size(): number {
    return this.#byName.size;
  }

  all(): Iterable<D> {
    return this.#byName.values();
  }

  /** The domain of this very name, which may be that of a wildcard. */
  named(name: string): D | null {
    return this.#byName.get(name) ?? null;
  }

  /**
   * The policy of a domain: exact first, then the wildcard one label up, then that of a grant. `name` is canonical. Whatever is
   * found, everything is looked up: the time must not tell a domain that is hidden from one that does not exist (design 6.5).
   */
  find(name: string): D | null {
    const exact = this.#byName.get(name);
    const isInactive = this.#inactive.has(name);
    const wildcard = wildcardOf(name);
    const covering = this.#byName.get(wildcard ?? name);
    const granted = this.#grantedTo(name, wildcard);
    if (exact !== undefined) return exact;
    return isInactive ? null : (covering ?? granted);
  }

  #grantedTo(name: string, wildcard: string | null): D | null {
    if (this.#granted.size === 0) return null;
    const pattern = wildcard !== null && !this.#inactive.has(wildcard) ? this.#granted.get(wildcard) : undefined;
    return this.#granted.get(name) ?? pattern ?? null;
  }

  /** Resolves a name as a dial does (design, section 2): exact domain, then `instance.domain`, then wildcard domain. */
  resolve(name: string): NameMatch<D> | null {
    const exact = this.#exact(name);
    if (exact !== null) return { policy: exact, domain: name, instance: null };
    const dot = this.#inactive.has(name) ? -1 : name.indexOf('.');
    const [instance, domain] = [name.slice(0, Math.max(dot, 0)), name.slice(dot + 1)];
    const policy = dot > 0 ? this.#exact(domain) : null;
    if (policy !== null) return { policy, domain, instance };
    const wild = this.find(name);
    if (wild !== null) return { policy: wild, domain: name, instance: null };
    const ruled = dot > 0 ? this.find(domain) : null;
    return ruled === null ? null : { policy: ruled, domain, instance };
  }

  #exact(name: string): D | null {
    const granted = this.#inactive.has(name) ? undefined : this.#granted.get(name);
    return this.#byName.get(name) ?? granted ?? null;
  }

  /** Why `find` or `resolve` gave null, or would. Takes as long for any name, as {@link find} does. */
  absence(name: string): 'domain-inactive' | 'domain-unknown' {
    const isInactive = this.#inactive.has(name);
    const isCovered = this.#inactive.has(wildcardOf(name) ?? name);
    return isInactive || isCovered ? 'domain-inactive' : 'domain-unknown';
  }
}

function byName<D extends { readonly name: string }>(domains: readonly D[]): Map<string, D> {
  return new Map(domains.map((domain) => [domain.name, domain]));
}
