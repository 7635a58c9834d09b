import { formatAddress, type ListenAddress } from '../core/address.ts';
import { sameValue } from '../core/same-value.ts';
import type { CertificateOptions } from './options.ts';
import type { ResolvedDomain, ResolvedServerOptions } from './resolve-options.ts';

/** Listeners that a change opens and closes; those that stay are not touched. */
export interface ListenChange {
  readonly added: readonly ListenAddress[];
  readonly removed: readonly ListenAddress[];
}

/** One difference between what a server runs with and what it is to run with. */
export type ServerChange =
  | { readonly type: 'domain-added'; readonly domain: ResolvedDomain }
  | { readonly type: 'domain-changed'; readonly domain: ResolvedDomain; readonly before: ResolvedDomain }
  | { readonly type: 'domain-removed'; readonly domain: ResolvedDomain }
  | { readonly type: 'certificates-changed'; readonly certificates: readonly CertificateOptions[] }
  | { readonly type: 'grants-changed' }
  | { readonly type: 'proxy-changed' }
  /** Where none is opened or closed, what one presents or believes is another. */
  | ({ readonly type: 'front-door-changed' } & ListenChange)
  | ({ readonly type: 'redirect-moved' } & ListenChange)
  /** A limit, a time-out or another value that is looked up whenever it is needed. */
  | { readonly type: 'setting-changed'; readonly key: SettingKey }
  /** Cannot be applied to a running server, which goes on with the old value. */
  | { readonly type: 'restart-required'; readonly key: string };

/** How each option changes in a server that runs. */
const KINDS = {
  maxHeaderBytes: 'setting',
  maxBodyBytes: 'setting',
  idleTimeoutMs: 'setting',
  readTimeoutMs: 'setting',
  writeTimeoutMs: 'setting',
  maxConnections: 'setting',
  maxConnectionsPerAddress: 'setting',
  unavailableStatus: 'setting',
  transaction: 'setting',
  tunnelMemoryBytes: 'setting',
  memoryBytes: 'setting',
  drainMs: 'setting',
  inactive: 'setting',
  sockets: 'setting',
  sni: 'setting',
  // The server's identity towards agents and visitors: they were told the old one.
  name: 'fixed',
  service: 'fixed',
  listen: 'compared',
  redirect: 'compared',
  proxy: 'compared',
  certificates: 'compared',
  domains: 'compared',
  grants: 'compared',
  // Whoever made the server goes on watching it.
  observer: 'kept',
} as const satisfies Record<keyof ResolvedServerOptions, 'setting' | 'fixed' | 'compared' | 'kept'>;

type KeysOf<Kind> = { [Key in keyof typeof KINDS]: (typeof KINDS)[Key] extends Kind ? Key : never }[keyof typeof KINDS];
type SettingKey = KeysOf<'setting'>;

/** What has to be done to get from one configuration to another. Pure; two equal ones give no change. */
export function diffServerOptions(before: ResolvedServerOptions, after: ResolvedServerOptions): ServerChange[] {
  const changes: ServerChange[] = [];
  for (const [key, kind] of Object.entries(KINDS) as [keyof typeof KINDS, string][]) {
    if (kind !== 'fixed' && kind !== 'setting') continue;
    if (sameValue(before[key], after[key])) continue;
    if (kind === 'fixed') changes.push({ type: 'restart-required', key });
    else changes.push({ type: 'setting-changed', key: key as SettingKey });
  }
  if (!sameValue(before.certificates, after.certificates)) {
    changes.push({ type: 'certificates-changed', certificates: after.certificates });
  }
  if (!sameValue(before.grants, after.grants)) changes.push({ type: 'grants-changed' });
  if (!sameValue(before.proxy, after.proxy)) changes.push({ type: 'proxy-changed' });
  if (!sameValue(before.listen, after.listen) && !isAllHandedOver(before, after)) {
    changes.push({ type: 'restart-required', key: 'listen' });
  } else if (!sameValue(before.listen, after.listen)) {
    const places = (options: ResolvedServerOptions) => options.listen.map(({ address }) => address);
    const moved = diffAddresses(places(before), places(after)) ?? { added: [], removed: [] };
    changes.push({ type: 'front-door-changed', ...moved });
  }
  const redirect = diffAddresses(before.redirect, after.redirect);
  if (redirect !== null) changes.push({ type: 'redirect-moved', ...redirect });
  changes.push(...diffDomains(before.domains, after.domains));
  return changes;
}

/** Whether a process has every socket of systemd that it is to listen at: more than at its start it is never handed. */
function isAllHandedOver({ sockets }: ResolvedServerOptions, { listen }: ResolvedServerOptions): boolean {
  return listen.every(({ address }) => !('systemd' in address) || Object.hasOwn(sockets, address.systemd));
}

/** What is only in one of two lists of addresses; null when they have the same. */
export function diffAddresses(before: readonly ListenAddress[], after: readonly ListenAddress[]): ListenChange | null {
  const had = new Set(before.map(formatAddress));
  const has = new Set(after.map(formatAddress));
  const added = after.filter((address) => !had.has(formatAddress(address)));
  const removed = before.filter((address) => !has.has(formatAddress(address)));
  return added.length + removed.length === 0 ? null : { added, removed };
}

function diffDomains(before: readonly ResolvedDomain[], after: readonly ResolvedDomain[]): ServerChange[] {
  const had = new Map(before.map((domain) => [domain.name, domain]));
  const changes: ServerChange[] = [];
  for (const domain of after) {
    const old = had.get(domain.name);
    had.delete(domain.name);
    if (old === undefined) changes.push({ type: 'domain-added', domain });
    else if (!sameValue(old, domain)) changes.push({ type: 'domain-changed', domain, before: old });
  }
  // Removed ones first: what they had, a port for instance, may go to a new one.
  const removed = Array.from(had.values(), (domain): ServerChange => ({ type: 'domain-removed', domain }));
  return [...removed, ...changes];
}
