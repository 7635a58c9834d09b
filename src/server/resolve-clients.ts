import { isBanner, isLogin, MAX_BANNER_LENGTH, MAX_LOGIN_BYTES } from '../core/login-rules.ts';
import { timeRangeFault } from '../core/time-range.ts';
import { networkFault } from '../net/networks.ts';
import { readAuthorities } from '../pki/authorities.ts';
import type { ClientOptions, DomainOptions, ProxyOptions } from './options.ts';

/** Which visitors reach a domain, with every value decided. */
export type ResolvedClients = Readonly<Required<ClientOptions>>;

/** The rules for visitors of a domain without {@link clientProblems}, with the defaults where it has none. */
export function resolveClients({ name, clients = {} }: DomainOptions): ResolvedClients {
  const { networks = [], ranges = [], credentials = [], banner = name, certificates = null } = clients;
  return Object.freeze({ networks, ranges, credentials, banner, certificates });
}

/** What is wrong with who may come to a domain, agents and visitors; every problem. */
export function clientProblems(domain: DomainOptions): string[] {
  const { listen = [], networks = [], forward = [], tls = 'terminate' } = domain;
  const clients = resolveClients(domain);
  const problems = [
    ...networks.map((network) => faultOf('networks', networkFault(network))),
    ...forward.map((network) => faultOf('forward', networkFault(network))),
    ...clients.networks.map((network) => faultOf('clients.networks', networkFault(network))),
    ...clients.ranges.map((entry) => faultOf('clients.ranges', timeRangeFault(entry))),
    ...clients.credentials.map(({ login }) => faultOf('clients.credentials', loginFault(login))),
    faultOf('clients.banner', bannerFault(clients.banner)),
    faultOf('clients.certificates', authorityFault(clients.certificates)),
  ];
  for (const key of ['credentials', 'certificates'] as const) {
    const asked = (clients[key]?.length ?? 0) > 0;
    if (asked && listen.length > 0)
      problems.push(`\`clients.${key}\` cannot be asked for on the TCP ports of \`listen\``);
    if (asked && tls === 'passthrough')
      problems.push(`\`clients.${key}\` cannot be asked for in TLS that passes through`);
  }
  return problems.filter((problem) => problem !== null);
}

/** What is wrong with the proxy's listener; every problem. */
export function proxyProblems(proxy: ProxyOptions | null): string[] {
  if (proxy === null) return [];
  const problems = (proxy.credentials ?? []).map(({ login }) => faultOf('proxy.credentials', loginFault(login)));
  if (proxy.listen.length === 0) problems.push('`proxy.listen` is empty; give at least one address');
  return problems.filter((problem) => problem !== null);
}

function faultOf(key: string, fault: string | null): string | null {
  return fault === null ? null : `\`${key}\`: ${fault}`;
}

function loginFault(login: string): string | null {
  if (isLogin(login)) return null;
  return `a login has 1 to ${MAX_LOGIN_BYTES} bytes, no colon and no control characters`;
}

function bannerFault(banner: string): string | null {
  return isBanner(banner) ? null : `a banner has at most ${MAX_BANNER_LENGTH} characters of printable ASCII`;
}

function authorityFault(pem: string | null): string | null {
  try {
    if (pem !== null) readAuthorities(pem);
    return null;
  } catch {
    return 'no PEM certificate';
  }
}
