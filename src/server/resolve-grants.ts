import type { PortRange } from '../core/connect-grant.ts';
import { isCanonicalName } from '../core/host-name.ts';
import { isLogin, MAX_LOGIN_BYTES } from '../core/login-rules.ts';
import { networkFault } from '../net/networks.ts';
import type { GrantOptions, IdentityOptions } from './options.ts';

/** Grants with every value decided. */
export type ResolvedGrants = Readonly<Required<GrantOptions>>;

/** An identity with every value decided. */
export type ResolvedIdentity = Readonly<Required<IdentityOptions>>;

/** Grants without {@link grantProblems}, with nothing where nothing was given. */
export function resolveGrants(given: GrantOptions): ResolvedGrants {
  const { domains = [], ports = [], destinations = [], connect = [] } = given;
  return Object.freeze({ domains, ports, destinations, connect });
}

/** An identity without {@link identityProblems}. */
export function resolveIdentity(given: IdentityOptions): ResolvedIdentity {
  const { identity, secrets = [], certificate = null } = given;
  return Object.freeze({ ...resolveGrants(given), identity, secrets, certificate });
}

/** What is wrong with grants; every problem. */
export function grantProblems(given: GrantOptions): string[] {
  const { domains, ports, destinations, connect } = resolveGrants(given);
  const problems = [
    ...domains.map((name) => faultOf('domains', patternFault(name))),
    ...ports.map((range) => faultOf('ports', rangeFault(range))),
    ...destinations.map(({ host }) =>
      faultOf('destinations', typeof host === 'string' ? patternFault(host) : networkFault(host)),
    ),
    ...connect.map(({ name }) => faultOf('connect', name === '*' ? null : patternFault(name))),
    ...[...destinations, ...connect].map(({ ports: range }) =>
      faultOf('destinations, connect', range === null ? null : rangeFault(range)),
    ),
  ];
  return problems.filter((problem) => problem !== null);
}

/** What is wrong with the identities; every problem. `domains`: names that an identity may not have. */
export function identityProblems(given: readonly IdentityOptions[], domains: ReadonlySet<string>): string[] {
  const names = new Set<string>();
  return given.flatMap((each) => {
    const { identity, secrets, certificate } = resolveIdentity(each);
    const problems = grantProblems(each);
    if (!isLogin(identity)) problems.push(`a name has 1 to ${MAX_LOGIN_BYTES} bytes, no colon, no control characters`);
    if (names.has(identity)) problems.push('the identity is given twice');
    if (domains.has(identity)) problems.push('a domain has this name; it is an identity of its own already');
    if (secrets.length === 0 && certificate === null) problems.push('it has neither secrets nor a certificate');
    if (certificate !== null && patternFault(certificate) !== null) problems.push(`${patternFault(certificate)}`);
    names.add(identity);
    return problems.map((problem) => `the identity ${JSON.stringify(identity)}: ${problem}`);
  });
}

function faultOf(key: string, fault: string | null): string | null {
  return fault === null ? null : `grants of \`${key}\`: ${fault}`;
}

function patternFault(pattern: string): string | null {
  const name = pattern.startsWith('*.') ? pattern.slice(2) : pattern;
  return isCanonicalName(name)
    ? null
    : `${JSON.stringify(pattern)} is neither a host name in canonical form nor "*.suffix"`;
}

function rangeFault({ first, last }: PortRange): string | null {
  const isRange = Number.isInteger(first) && Number.isInteger(last) && first >= 1 && last <= 65_535 && first <= last;
  return isRange ? null : `${first} to ${last} are no ports; allowed: 1 to 65535, the smaller one first`;
}
