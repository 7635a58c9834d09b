import type { CarrierSource } from '../core/dial.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { Certificates } from './certificates.ts';
import { authoritiesIn, isRevoked } from './client-authorities.ts';
import type { DomainTable } from './domain-table.ts';
import type { ResolvedDomain } from './resolve-options.ts';
import type { Visit } from './visit.ts';
import type { AccessControl } from './visitor-access.ts';

/** What is looked at to find what a visitor reaches. */
export interface ReachOptions {
  readonly domains: () => DomainTable;
  readonly access: Pick<AccessControl, 'of'>;
  readonly carriers: Pick<CarrierSource, 'serves'>;
  /** Those that a front door presents now. */
  readonly certificates: (door: string) => Pick<Certificates, 'select'>;
}

/** The domain that a visitor reaches under a name, or why it reaches none; `policy` is then what the visitor may know of. */
export type Reached =
  | { readonly refusal: null; readonly policy: ResolvedDomain }
  | { readonly refusal: ErrorCode; readonly policy: ResolvedDomain | null };

/**
 * What a visitor reaches under a host name (canonical): its own policy decides, whatever the connection's SNI
 * was (design, section 8, point 3). `misdirected` is for connections that were made under other terms; it is told also of
 * names that nobody serves, so that it tells nobody which do (6.5).
 */
export function reach(
  { domains, access, carriers, certificates }: ReachOptions,
  { connection, remote }: Pick<Visit, 'connection' | 'remote'>,
  host: string,
): Reached {
  const { name, door, clientAuthorities, clientSubject } = connection;
  if (name !== host && isOtherEntry(certificates(door), name, host)) return { refusal: 'misdirected', policy: null };
  const policy = domains().find(host);
  // All is asked for everyone, so that an unknown domain takes as long as a forbidden one.
  const absence = domains().absence(host);
  const forbidden = access.of(policy).refusal(remote);
  const isServed = carriers.serves(host);
  const hidden = policy === null ? absence : forbidden;
  // A connection whose TLS ends here is none to a target that ends it; whether the name was this one's before does not matter.
  if (policy?.tls === 'passthrough' && hidden === null && isServed) return { refusal: 'misdirected', policy: null };
  const asked = hidden === null && isServed ? (policy?.clients.certificates ?? null) : null;
  const wanted = authoritiesIn(asked);
  if (name !== host && clientAuthorities !== null && wanted !== clientAuthorities) {
    return { refusal: 'misdirected', policy: null };
  }
  if (policy === null || hidden !== null) return { refusal: hidden ?? absence, policy: null };
  if (!isServed) return { refusal: 'domain-unserved', policy };
  if (asked === null) return { refusal: null, policy };
  if (wanted !== clientAuthorities) return { refusal: 'misdirected', policy };
  if (clientSubject === null || isRevoked(connection, asked)) return { refusal: 'certificate-refused', policy: null };
  return { refusal: null, policy };
}

/** By today's entries: those of the day when the connection was made may be gone. */
function isOtherEntry(certificates: Pick<Certificates, 'select'>, name: string | null, host: string): boolean {
  const entry = certificates.select(host);
  return entry !== -1 && entry !== certificates.select(name);
}
