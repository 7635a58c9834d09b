import { X509Certificate } from 'node:crypto';
import { Secret } from '../../src/index.ts';
import { Authority, type Pair } from '../../src/pki/authority.ts';

/** What an agent is given to prove a name. */
export interface AgentProof {
  readonly certificate: string;
  readonly key: Secret;
}

/** An authority for agents, in memory. */
export class AgentPki {
  readonly pem: string;
  readonly #authority: Authority;
  #number = 0;

  private constructor(pair: Pair) {
    this.pem = pair.cert;
    this.#authority = new Authority(pair);
  }

  static async make(name = 'agents'): Promise<AgentPki> {
    return new AgentPki(await Authority.make({ name, days: 3_650 }));
  }

  async issue(dns: readonly string[], more: { days?: number; kind?: 'agent' | 'server' } = {}): Promise<AgentProof> {
    const { days = 365, kind = 'agent' } = more;
    const notAfter = new Date(Date.now() + days * 86_400_000);
    const { cert, key } = await this.#authority.issue({ kind, name: dns[0] ?? kind, dns, ip: [], notAfter });
    return { certificate: cert, key: new Secret(key) };
  }

  /** The authority with a list of these. */
  async revoking(...proofs: readonly AgentProof[]): Promise<string> {
    const revoked = proofs.map(({ certificate }) => ({
      serial: new X509Certificate(certificate).serialNumber,
      date: new Date(),
    }));
    this.#number += 1;
    const nextUpdate = new Date(Date.now() + 86_400_000);
    return `${this.pem}${await this.#authority.revocationList({ revoked, number: this.#number, nextUpdate })}`;
  }
}
