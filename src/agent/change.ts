import type { AppliedChange } from '../core/apply-result.ts';
import { differingKeys, sameValue } from '../core/same-value.ts';
import type { Remote, ResolvedAgentDomain, ResolvedAgentOptions } from './resolve-options.ts';

/** One difference between what an agent runs with and what it is to run with. */
export type AgentChange =
  | { readonly type: 'domain-added'; readonly domain: ResolvedAgentDomain }
  | {
      readonly type: 'domain-changed';
      readonly domain: ResolvedAgentDomain;
      readonly before: ResolvedAgentDomain;
      /** Whether its tunnels have to be made anew; otherwise servers come or go, or the streams to come are joined in another way. */
      readonly relink: boolean;
    }
  | { readonly type: 'domain-removed'; readonly domain: ResolvedAgentDomain }
  /** A time-out or another value that is looked up whenever it is needed. */
  | { readonly type: 'setting-changed'; readonly key: string }
  /** Cannot be applied to a running agent, which goes on with the old value. */
  | { readonly type: 'restart-required'; readonly key: string };

/** How each option changes in an agent that runs. */
const KINDS = {
  connectTimeoutMs: 'setting',
  readTimeoutMs: 'setting',
  writeTimeoutMs: 'setting',
  exchanges: 'setting',
  tunnelMemoryBytes: 'setting',
  memoryBytes: 'setting',
  drainMs: 'setting',
  // That of a process never changes.
  proxyEnvironment: 'fixed',
  domains: 'compared',
  // Whoever made the agent goes on watching it.
  observer: 'kept',
} as const satisfies Record<keyof ResolvedAgentOptions, 'setting' | 'fixed' | 'compared' | 'kept'>;

/** What of a domain its tunnels were made with, which servers they lead to, and what only its streams look at. */
const DOMAIN_KINDS = {
  name: 'tunnel',
  secret: 'tunnel',
  proof: 'tunnel',
  identity: 'tunnel',
  remotes: 'servers',
  service: 'tunnel',
  trust: 'tunnel',
  instance: 'tunnel',
  connections: 'tunnel',
  concurrency: 'tunnel',
  streamPerVisitor: 'tunnel',
  targets: 'stream',
  handler: 'stream',
  ports: 'stream',
  claims: 'stream',
} as const satisfies Record<keyof ResolvedAgentDomain, 'tunnel' | 'servers' | 'stream'>;

/** What has to be done to get from one configuration to another. Pure; two equal ones give no change. */
export function diffAgentOptions(before: ResolvedAgentOptions, after: ResolvedAgentOptions): AgentChange[] {
  const changes: AgentChange[] = [];
  for (const [key, kind] of Object.entries(KINDS) as [keyof typeof KINDS, string][]) {
    if (kind !== 'fixed' && kind !== 'setting') continue;
    if (sameValue(before[key], after[key])) continue;
    changes.push({ type: kind === 'fixed' ? 'restart-required' : 'setting-changed', key });
  }
  return [...changes, ...diffDomains(before.domains, after.domains)];
}

function diffDomains(before: readonly ResolvedAgentDomain[], after: readonly ResolvedAgentDomain[]): AgentChange[] {
  const had = new Map(before.map((domain) => [domain.name, domain]));
  const changes: AgentChange[] = [];
  for (const domain of after) {
    const old = had.get(domain.name);
    had.delete(domain.name);
    if (old === undefined) changes.push({ type: 'domain-added', domain });
    else if (!sameValue(old, domain)) {
      const relink =
        isReplaced(old, domain) || differingKeys(old, domain).some((key) => DOMAIN_KINDS[key] === 'tunnel');
      changes.push({ type: 'domain-changed', domain, before: old, relink });
    }
  }
  const removed = Array.from(had.values(), (domain): AgentChange => ({ type: 'domain-removed', domain }));
  return [...removed, ...changes];
}

/** Whether servers take the place of others, which are kept until the new ones are reached. */
function isReplaced(before: ResolvedAgentDomain, after: ResolvedAgentDomain): boolean {
  const isAmong = (remotes: readonly Remote[]) => (remote: Remote) =>
    remotes.some(({ label }) => label === remote.label);
  return !before.remotes.every(isAmong(after.remotes)) && !after.remotes.every(isAmong(before.remotes));
}

/** The changes as they are told. */
export function reportAgentChanges(changes: readonly AgentChange[]): AppliedChange[] {
  return changes.flatMap(reportOf);
}

function reportOf(change: AgentChange): AppliedChange[] {
  switch (change.type) {
    case 'domain-added':
      return [{ what: 'domain', action: 'added', name: change.domain.name }];
    case 'domain-removed':
      return [{ what: 'domain', action: 'removed', name: change.domain.name }];
    case 'domain-changed': {
      const keys = differingKeys(change.before, change.domain);
      return [{ what: 'domain', action: 'changed', name: change.domain.name, keys }];
    }
    case 'setting-changed':
      return [{ what: 'option', key: change.key }];
    case 'restart-required':
      return [];
  }
}
