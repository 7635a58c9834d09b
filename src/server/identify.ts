import { canonicalName, covers, toDomain } from '../core/host-name.ts';
import type { Credentials } from '../tunnel/server-handshake.ts';
import type { DomainTable } from './domain-table.ts';
import { type GrantOwner, Holder } from './holder.ts';
import type { ResolvedIdentity } from './resolve-grants.ts';
import type { CheckOptions, SecretChecker } from './secret-check.ts';

/** What somebody showed to prove who asks. */
export interface Shown {
  /** Of `Authorization` or `Proxy-Authorization`; null without. */
  readonly credentials: Credentials | null;
  /** DNS names of a client certificate that was proven under an authority for agents. Empty without one. */
  readonly certificateNames: readonly string[];
  /** Whether such a certificate is one for the domain, or for the instance of it that asks. Default false. */
  readonly certifiesDomain?: boolean;
  /** The domain that a secret without a name (Bearer) is meant for; null where none is named. */
  readonly domain: string | null;
}

/** What proofs are judged by. */
export interface IdentifyDeps {
  readonly domains: () => DomainTable;
  /** Those in force. */
  readonly identities: () => readonly ResolvedIdentity[];
  readonly secrets: Pick<SecretChecker, 'check'>;
}

/** Who asks; or what was wrong with the proof, which only the log may tell. */
export type Identified = Holder | 'secret-missing' | 'secret-wrong';

/**
 * Finds out who showed this: with Basic an identity, or a domain by its own name; with Bearer the domain that is named;
 * with a certificate every identity that it fits. One secret is checked, whoever is asked about and also where there is
 * nobody, so that the time of a refusal tells nothing. Rejects as {@link SecretChecker.check} does.
 */
export async function identify(
  { domains, identities, secrets }: IdentifyDeps,
  { credentials, certificateNames, certifiesDomain = false, domain }: Shown,
  about: CheckOptions = {},
): Promise<Identified> {
  const named = credentials?.identity ?? null;
  const all = identities();
  const identity = named === null ? undefined : all.find((each) => each.identity === named);
  const owner = named === null ? domain : domainOf(named);
  const policy = owner === null || identity !== undefined ? null : domains().find(owner);
  const candidate = credentials?.secret.reveal() ?? '';
  const known = await secrets.check(candidate, identity?.secrets ?? policy?.secrets ?? [], about);
  const owners: GrantOwner[] = [];
  if (known && identity !== undefined) owners.push({ kind: 'identity', identity });
  if (known && policy !== null) owners.push({ kind: 'domain', policy });
  const certified = certifiesDomain && domain !== null ? domains().find(domain) : null;
  if (certified !== null && !(known && certified === policy)) owners.push({ kind: 'domain', policy: certified });
  for (const each of all) {
    if (each !== identity && isCertified(each, certificateNames)) owners.push({ kind: 'identity', identity: each });
  }
  if (owners.length > 0) return new Holder(owners, domains);
  return credentials === null ? 'secret-missing' : 'secret-wrong';
}

function domainOf(name: string): string | null {
  return name.startsWith('*.') ? toDomain(name) : canonicalName(name);
}

/** A name of a certificate may be a wildcard itself: it proves each name that it covers. */
function isCertified({ certificate }: ResolvedIdentity, names: readonly string[]): boolean {
  return certificate !== null && names.some((name) => covers(certificate, name) || covers(name, certificate));
}
