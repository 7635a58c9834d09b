import { X509Certificate } from 'node:crypto';
import type { ApplyResult, ServerOptions } from '../index.ts';
import type { ProgramFigures } from '../metrics/program.ts';

type Certificates = Pick<ServerOptions['certificates'][number], 'hosts' | 'cert'>;

/** Which configuration is in force, since when, and whether it is the one of the files. */
export class ConfigRecord {
  #generation = 1;
  #appliedAt = Date.now();
  #lastReloadOk = true;
  #certificates: ProgramFigures['certificates'] = [];
  #inactive: readonly string[] = [];

  get config(): ProgramFigures['config'] {
    return { generation: this.#generation, appliedAt: this.#appliedAt, lastReloadOk: this.#lastReloadOk };
  }

  get certificates(): ProgramFigures['certificates'] {
    return this.#certificates;
  }

  /** Domains that have a file and are not active: they serve nobody. */
  get inactive(): readonly string[] {
    return this.#inactive;
  }

  /** Keeps which domains are not active. */
  leavesOut(inactive: readonly string[]): void {
    this.#inactive = inactive;
  }

  /** Keeps when the certificates end. */
  hasCertificates(certificates: readonly Certificates[]): void {
    this.#certificates = certificates.map(({ hosts, cert }) => ({
      hosts: hosts.join(' '),
      notAfter: new X509Certificate(cert).validToDate.getTime(),
    }));
  }

  /** The files were read and applied. */
  applied({ changes, failures }: Pick<ApplyResult, 'changes' | 'failures'>): void {
    this.#lastReloadOk = failures.length === 0;
    if (changes.length === 0) return;
    this.#generation += 1;
    this.#appliedAt = Date.now();
  }

  /** The files are invalid; what was in force before stays. */
  refused(): void {
    this.#lastReloadOk = false;
  }
}
