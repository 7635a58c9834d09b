import type { DomainState, InstanceState } from '../core/domain-state.ts';
import type { TunnelRegistry } from '../registry/registry.ts';
import type { DomainStreams } from './domain-streams.ts';
import type { DomainTable } from './domain-table.ts';

/** Every configured domain, with what serves it and what is under way; in the order of the configuration. */
export function domainStates(table: DomainTable, registry: TunnelRegistry, streams: DomainStreams): DomainState[] {
  const instances = new Map<string, Map<string, InstanceState>>();
  for (const tunnel of registry.tunnels()) {
    const { domain, instance } = tunnel.info;
    const policy = table.find(domain);
    if (policy === null) continue;
    const ofDomain = instances.get(policy.name) ?? new Map<string, InstanceState>();
    instances.set(policy.name, ofDomain);
    const before = ofDomain.get(`${instance}.${domain}`);
    ofDomain.set(`${instance}.${domain}`, {
      name: instance,
      domain,
      tunnels: (before?.tunnels ?? 0) + 1,
      streams: (before?.streams ?? 0) + tunnel.streamCount,
    });
  }
  return Array.from(table.all(), ({ name, target }) => ({
    name,
    instances: [...(instances.get(name)?.values() ?? [])],
    hasTarget: target !== null,
    active: streams.activeOf(name),
  }));
}
