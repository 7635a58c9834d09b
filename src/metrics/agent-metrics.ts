import { Gauge, Registry } from 'prom-client';
import type { MemoryStats } from '../core/tunnel-stats.ts';
import { Program, type ProgramFigures } from './program.ts';
import type { Metrics } from './server-metrics.ts';
import { Traffic } from './traffic.ts';
import { type TunnelSample, Tunnels } from './tunnels.ts';

/** What an agent's metrics are made from, besides its events; asked when Prometheus asks. */
export interface AgentSource {
  /** Every domain that it serves, with how many tunnels are wanted. */
  domains(): readonly { readonly name: string; readonly wanted: number }[];
  tunnels(): readonly TunnelSample[];
  memory(): MemoryStats;
  program(): ProgramFigures;
}

/** Makes the metrics of an agent, in a registry of their own. */
export function createAgentMetrics(source: AgentSource): Metrics {
  const registry = new Registry();
  const registers = [registry];
  let names = new Set<string>();
  const served = (name: string): string | null => {
    if (names.has(name)) return name;
    const wildcard = `*${name.slice(name.indexOf('.'))}`;
    return names.has(wildcard) ? wildcard : null;
  };
  const traffic = new Traffic({ registry, side: 'agent', domainOf: served });
  const tunnels = new Tunnels(registry, 'agent');
  const program = new Program(registry, 'agent');
  const byDomain = (name: string, help: string) => new Gauge({ name, help, labelNames: ['domain'], registers });
  const active = byDomain('backdial_agent_active_connections', 'Open streams, kept-alive ones included.');
  const live = byDomain('backdial_agent_tunnels', 'Live tunnels of a domain.');
  const wanted = byDomain(
    'backdial_agent_tunnels_wanted',
    'Tunnels of a domain that the agent keeps or tries to have.',
  );
  const readDomains = () => {
    const domains = source.domains();
    names = new Set(domains.map(({ name }) => name));
    return domains;
  };
  readDomains();
  const refresh = (): void => {
    const samples = source.tunnels();
    const domains = readDomains();
    traffic.refresh();
    tunnels.refresh(samples, source.memory());
    program.refresh(source.program());
    for (const metric of [active, live, wanted]) metric.reset();
    for (const { name: domain, wanted: count } of domains) {
      wanted.set({ domain }, count);
      live.set({ domain }, 0);
      active.set({ domain }, 0);
    }
    for (const { domain, stats } of samples) {
      live.inc({ domain });
      active.inc({ domain }, stats.streams);
    }
  };
  return {
    observer: (event) => {
      // One that a reload added: it has no traffic before its first tunnel.
      if (event.type === 'tunnel-opened' && served(event.tunnel.domain) === null) readDomains();
      traffic.observe(event);
      tunnels.observe(event);
    },
    async text() {
      refresh();
      return { text: await registry.metrics(), type: registry.contentType };
    },
    close: () => program.close(),
  };
}
