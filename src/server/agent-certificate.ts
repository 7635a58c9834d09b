import type { X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import { covers } from '../core/host-name.ts';
import { type Authorities, distrustOf, dnsNames, readAuthorities } from '../pki/authorities.ts';
import type { ServiceRequest } from '../tunnel/server-handshake.ts';
import type { ResolvedDomain } from './resolve-options.ts';

/** Certificates that a client may send beside its own; more are not looked at. */
const MAX_SENT = 8;

/** What somebody asks for, and the certificates that it proved to have, the leaf first. */
export interface Asker extends ServiceRequest {
  readonly chain: readonly X509Certificate[];
}

/** What a chain proves about an agent of a domain. */
export interface CertificateProof {
  /** DNS names that are proven; none where {@link fault} is not null. */
  readonly names: readonly string[];
  /** Whether they cover the instance or the domain. */
  readonly coversDomain: boolean;
  /** Why it proves less than was asked for; null: it does not, or nobody asked. For the log. */
  readonly fault: string | null;
}

/** The chain of a connection, whether or not it is to be trusted; empty without a certificate. */
export function chainOf(socket: unknown): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = socket instanceof TLSSocket && !socket.destroyed ? socket.getPeerX509Certificate() : undefined;
  while (
    next !== undefined &&
    chain.length <= MAX_SENT &&
    !chain.some((each) => each.raw.equals(next?.raw as Buffer))
  ) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

const read = new WeakMap<ResolvedDomain, Authorities>();

/** Judges a chain by the authorities of a domain. Without any there is nothing that it could prove. */
export function proofOf({ chain, domain, instance }: Asker, policy: ResolvedDomain | null): CertificateProof {
  const pem = policy?.certificates ?? null;
  if (policy === null || pem === null) {
    // For its time: that a domain has no authorities is not to be told by it.
    chain[0]?.verify(chain[0].publicKey);
    return { names: [], coversDomain: false, fault: null };
  }
  const known = read.get(policy) ?? readAuthorities(pem);
  read.set(policy, known);
  const distrust = distrustOf(chain, known);
  if (distrust !== null) return { names: [], coversDomain: false, fault: distrust };
  const names = chain[0] === undefined ? [] : dnsNames(chain[0]);
  const coversDomain = names.some((name) => covers(name, domain) || covers(name, `${instance}.${domain}`));
  const told = names.length === 0 ? 'no DNS name' : names.join(', ');
  const fault = coversDomain ? null : `the certificate is for ${told}; needed: ${domain} or ${instance}.${domain}`;
  return { names, coversDomain, fault };
}
