import type { Observer } from '../core/events.ts';
import type { DomainTable } from './domain-table.ts';
import type { DoorCertificates } from './door-certificates.ts';

/** Warns of domains that HTTPS visitors cannot reach because no certificate covers their name; of each once. */
export class UncoveredDomains {
  readonly #observer: Observer;
  #known: ReadonlySet<string> = new Set();

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  /** To be called whenever domains or certificates changed. */
  check(domains: DomainTable, doors: Pick<DoorCertificates, 'all'>): void {
    const uncovered = new Set<string>();
    for (const { name, listen, tls } of domains.all()) {
      // TCP visitors need no certificate, and those whose TLS passes through get that of the target.
      if (listen.length > 0 || tls === 'passthrough') continue;
      if (doors.all().some((certificates) => certificates.select(name) !== -1)) continue;
      uncovered.add(name);
      if (this.#known.has(name)) continue;
      const message = `no entry of certificates covers ${name}: TLS visitors of it are refused (alert 112)`;
      this.#observer({ type: 'warning', code: 'certificate-missing', message });
    }
    this.#known = uncovered;
  }
}
