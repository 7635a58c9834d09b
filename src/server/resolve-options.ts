import { hostname } from 'node:os';
import { isAbsolute } from 'node:path';
import { BackdialError } from '../core/errors.ts';
import type { Observer } from '../core/events.ts';
import { canonicalName, isCanonicalName, toDomain } from '../core/host-name.ts';
import { LONGEST_TIMER_MS } from '../core/in-time.ts';
import { sameValue } from '../core/same-value.ts';
import { readAuthorities } from '../pki/authorities.ts';
import { serverShapeProblems } from './check-options.ts';
import { listenerProblems, type ResolvedListener, resolveListeners } from './listeners.ts';
import type { Balance, DomainOptions, ProxyOptions, ServerOptions } from './options.ts';
import { clientProblems, proxyProblems, type ResolvedClients, resolveClients } from './resolve-clients.ts';
import {
  grantProblems,
  identityProblems,
  type ResolvedGrants,
  type ResolvedIdentity,
  resolveGrants,
  resolveIdentity,
} from './resolve-grants.ts';

export const DEFAULT_SERVICE = '/.well-known/backdial-agent';

const DEFAULTS = {
  service: DEFAULT_SERVICE,
  maxHeaderBytes: 65_536,
  maxBodyBytes: 0,
  idleTimeoutMs: 65_000,
  readTimeoutMs: 10_000,
  writeTimeoutMs: 20_000,
  maxConnections: 20_000,
  maxConnectionsPerAddress: 5_000,
  unavailableStatus: 404,
  transaction: true,
  redirect: [],
  sockets: {},
  grants: [],
  proxy: null,
  inactive: [],
  sni: null,
  tunnelMemoryBytes: 67_108_864,
  memoryBytes: 536_870_912,
  drainMs: 30_000,
  observer: (() => {}) as Observer,
} as const;

/** With less no window would be left. */
const LEAST_MEMORY_BYTES = 1_000_000;

const DOMAIN_DEFAULTS = {
  certificates: null,
  networks: [],
  forward: [],
  tls: 'terminate',
  target: null,
  proxyProtocol: null,
  listen: [],
  concurrency: 1_000,
  balance: 'round-robin' as Balance,
} as const;

/** A domain with every value decided. */
export type ResolvedDomain = Readonly<Required<Omit<DomainOptions, 'clients' | 'grants'>>> & {
  readonly clients: ResolvedClients;
  readonly grants: ResolvedGrants;
};

/** Server options with every value decided; the runtime never asks "was it set?". */
export type ResolvedServerOptions = Readonly<
  Required<Omit<ServerOptions, 'domains' | 'grants' | 'listen' | 'proxy'>>
> & {
  readonly listen: readonly ResolvedListener[];
  readonly domains: readonly ResolvedDomain[];
  readonly grants: readonly ResolvedIdentity[];
  readonly proxy: Readonly<Required<ProxyOptions>> | null;
};

/** Checks server options, names every problem at once (`config-invalid`), fills in the defaults, freezes the result. */
export function resolveServerOptions(given: ServerOptions): ResolvedServerOptions {
  const misshapen = serverShapeProblems(given, (domain) => resolvedBefore.has(domain as DomainOptions));
  if (misshapen.length > 0) throw new BackdialError('config-invalid', misshapen.join('; '));
  const problems: string[] = [];
  const base = { ...DEFAULTS, name: canonicalName(hostname()) ?? 'backdial', ...defined(given) };
  if (base.listen.length === 0) problems.push('`listen` is empty; give at least one address');
  const listen = resolveListeners(base.listen);
  problems.push(...listenerProblems(listen));
  const presentsShared = listen.length === 0 || listen.some(({ certificates }) => certificates.length === 0);
  if (presentsShared && base.certificates.length === 0) problems.push('`certificates` is empty; give at least one');
  if (!isCanonicalName(base.name)) problems.push('`name` must be a host name in canonical form');
  if (!base.service.startsWith('/')) problems.push('`service` must be a path that begins with /');
  if (base.sni !== null && !isAbsolute(base.sni.hosts)) problems.push('`sni.hosts` must be an absolute path');
  for (const key of NUMBERS) {
    const value = base[key];
    if (!Number.isSafeInteger(value) || value < 0) problems.push(`\`${key}\` must be a whole number of 0 or more`);
    else if (key.endsWith('Ms') && value > LONGEST_TIMER_MS)
      problems.push(`\`${key}\` must be ${LONGEST_TIMER_MS} or less`);
  }
  for (const key of ['tunnelMemoryBytes', 'memoryBytes'] as const) {
    if (base[key] < LEAST_MEMORY_BYTES) problems.push(`\`${key}\` must be ${LEAST_MEMORY_BYTES} or more`);
  }
  const names = new Set<string>();
  for (const domain of base.domains) {
    if (names.has(domain.name)) problems.push(`the domain ${domain.name} is given twice`);
    names.add(domain.name);
    if (recall(domain, base) !== null) continue;
    if (toDomain(domain.name) !== domain.name) problems.push(`${domain.name}: not a domain in canonical form`);
    if (domain.name.startsWith('*.') && (domain.listen ?? []).length > 0) {
      problems.push(`${domain.name}: a wildcard cannot have \`listen\`; TCP visitors name no host`);
    }
    if (domain.proxyProtocol != null && domain.target == null) {
      problems.push(`${domain.name}: \`proxyProtocol\` is for \`target\`, and there is none`);
    }
    const own = [...clientProblems(domain), ...authorityProblems(domain), ...grantProblems(domain.grants ?? {})];
    problems.push(...own.map((problem) => `${domain.name}: ${problem}`));
  }
  problems.push(...identityProblems(base.grants, names), ...proxyProblems(base.proxy));
  if (problems.length > 0) throw new BackdialError('config-invalid', problems.join('; '));
  const domains = base.domains.map((domain) => recall(domain, base) ?? resolveDomain(domain, base));
  const grants = Object.freeze(base.grants.map(resolveIdentity));
  const proxy = base.proxy === null ? null : Object.freeze({ credentials: [], ...defined(base.proxy) });
  return Object.freeze({ ...base, listen, domains: Object.freeze(domains), grants, proxy });
}

function authorityProblems({ certificates = null }: DomainOptions): string[] {
  try {
    if (certificates !== null) readAuthorities(certificates);
    return [];
  } catch (error) {
    return [`\`certificates\` ${(error as Error).message}`];
  }
}

/**
 * What rules the names that are granted and have no file: a domain by the defaults for each name, and each pattern, of the
 * grants. Nobody's secret lets in there.
 */
export function grantedDomains(options: Omit<ResolvedServerOptions, 'observer'>): ResolvedDomain[] {
  const { domains, grants } = options;
  const names = new Set([...grants, ...domains.map((domain) => domain.grants)].flatMap((each) => each.domains));
  for (const { name } of domains) names.delete(name);
  return Array.from(names, (name) => resolveDomain({ name, secrets: [] }, options));
}

const NUMBERS = [
  'maxHeaderBytes',
  'maxBodyBytes',
  'idleTimeoutMs',
  'readTimeoutMs',
  'writeTimeoutMs',
  'maxConnections',
  'maxConnectionsPerAddress',
  'unavailableStatus',
  'tunnelMemoryBytes',
  'memoryBytes',
  'drainMs',
] as const;

type ServerDefaults = Required<Pick<ServerOptions, 'maxBodyBytes' | 'transaction' | 'unavailableStatus'>>;

/**
 * What became of domains that were given frozen, and under which of the server's values. One that is given again is neither
 * checked nor resolved anew: among 10,000, of which one changed, that is nearly all of the work.
 */
const resolvedBefore = new WeakMap<
  DomainOptions,
  { readonly server: ServerDefaults; readonly domain: ResolvedDomain }
>();

function recall(given: DomainOptions, server: ServerDefaults): ResolvedDomain | null {
  const known = resolvedBefore.get(given);
  return known !== undefined && sameValue(known.server, defaultsOf(server)) ? known.domain : null;
}

function defaultsOf({ maxBodyBytes, transaction, unavailableStatus }: ServerDefaults): ServerDefaults {
  return { maxBodyBytes, transaction, unavailableStatus };
}

/** One domain with the server's values where it has none of its own. */
export function resolveDomain(given: DomainOptions, server: ServerDefaults): ResolvedDomain {
  const clients = resolveClients(given);
  const defaults = defaultsOf(server);
  const grants = resolveGrants(given.grants ?? {});
  const domain = Object.freeze({ ...DOMAIN_DEFAULTS, ...defaults, ...defined(given), clients, grants });
  if (Object.isFrozen(given)) resolvedBefore.set(given, { server: defaults, domain });
  return domain;
}

/** The object without the keys that are `undefined`, so that they do not hide a default. */
function defined<T extends object>(given: T): T {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T;
}
