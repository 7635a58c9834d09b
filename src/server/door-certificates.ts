import { sameValue } from '../core/same-value.ts';
import { Certificates } from './certificates.ts';
import type { CertificateOptions } from './options.ts';
import type { ResolvedServerOptions } from './resolve-options.ts';

interface Own {
  readonly given: readonly CertificateOptions[];
  readonly certificates: Certificates;
}

/** What each front door presents: the server's certificates, or its own. */
export class DoorCertificates {
  readonly shared: Certificates;
  readonly #own: ReadonlyMap<string, Own>;

  /**
   * Fails with `config-invalid` where a certificate cannot be used. Of `before`, what did not change stays the same object; `shared`
   * changes only where `sharedChanged`.
   */
  constructor(
    { certificates, listen }: Pick<ResolvedServerOptions, 'certificates' | 'listen'>,
    before: DoorCertificates | null = null,
    sharedChanged = true,
  ) {
    this.shared = before === null || sharedChanged ? new Certificates(certificates) : before.shared;
    this.#own = new Map(
      listen.flatMap(({ key, certificates: given }) => {
        if (given.length === 0) return [];
        const known = before === null ? undefined : before.#own.get(key);
        if (known !== undefined && sameValue(known.given, given)) return [[key, known] as const];
        return [[key, { given, certificates: new Certificates(given, `\`listen\` ${key}: certificates`) }] as const];
      }),
    );
  }

  /** Those of a front door. */
  of(key: string): Certificates {
    return this.#own.get(key)?.certificates ?? this.shared;
  }

  hasOwn(key: string): boolean {
    return this.#own.has(key);
  }

  /** The sets that are presented somewhere. */
  all(): readonly Certificates[] {
    return [this.shared, ...Array.from(this.#own.values(), ({ certificates }) => certificates)];
  }
}
