import { Counter, Gauge, Registry } from 'prom-client';
import type { DomainState } from '../core/domain-state.ts';
import type { Observer } from '../core/events.ts';
import type { MemoryStats } from '../core/tunnel-stats.ts';
import { Program, type ProgramFigures } from './program.ts';
import { Traffic, type TrafficTotals } from './traffic.ts';
import { type TunnelSample, Tunnels } from './tunnels.ts';

/** The metrics of one program (features 8.3). */
export interface Metrics {
  /** To be told every event. */
  readonly observer: Observer;
  /** What Prometheus reads, and its media type. */
  text(): Promise<{ readonly text: string; readonly type: string }>;
  close(): void;
}

/** Those of a server, which its status page shows too. */
export interface ServerMetrics extends Metrics {
  traffic(): Map<string, TrafficTotals>;
}

/** What a server's metrics are made from, besides its events; asked when Prometheus asks. */
export interface ServerSource {
  domainOf(name: string): string | null;
  domains(): readonly DomainState[];
  tunnels(): readonly TunnelSample[];
  memory(): MemoryStats;
  program(): ProgramFigures;
}

/** Makes the metrics of a server, in a registry of their own. */
export function createServerMetrics(source: ServerSource): ServerMetrics {
  const registry = new Registry();
  const registers = [registry];
  const traffic = new Traffic({ registry, side: 'server', domainOf: source.domainOf });
  const tunnels = new Tunnels(registry, 'server');
  const program = new Program(registry, 'server');
  const registrations = new Gauge({
    name: 'backdial_server_active_registrations',
    help: 'Live instances of a configured domain.',
    labelNames: ['domain'],
    registers,
  });
  const targets = new Gauge({
    name: 'backdial_server_domain_target',
    help: 'Always 1: the domain has a `target` beside the server, which serves it while no agent does.',
    labelNames: ['domain'],
    registers,
  });
  const active = new Gauge({
    name: 'backdial_server_active_connections',
    help: 'Requests and byte streams under way.',
    labelNames: ['domain', 'way'],
    registers,
  });
  const roundTrips = new Gauge({
    name: 'backdial_server_client_round_trip_latency_seconds',
    help: 'Round trip to the agents of a domain: mean of the last PINGs of its tunnels.',
    labelNames: ['domain'],
    registers,
  });
  const refused = new Counter({
    name: 'backdial_connections_refused_total',
    help: 'Connections that ended before they named a domain, by reason.',
    labelNames: ['reason'],
    registers,
  });
  const refresh = (): void => {
    const live = source.tunnels();
    traffic.refresh();
    tunnels.refresh(live, source.memory());
    program.refresh(source.program());
    for (const metric of [registrations, targets, active, roundTrips]) metric.reset();
    for (const { name: domain, instances, hasTarget, active: ways } of source.domains()) {
      registrations.set({ domain }, instances.length);
      if (hasTarget) targets.set({ domain }, 1);
      for (const [way, streams] of Object.entries(ways)) active.set({ domain, way }, streams);
    }
    for (const [domain, seconds] of meanRoundTrips(live, source)) roundTrips.set({ domain }, seconds);
  };
  return {
    observer: (event) => {
      traffic.observe(event);
      tunnels.observe(event);
      if (event.type === 'connection-refused') refused.inc({ reason: event.reason });
    },
    async text() {
      refresh();
      return { text: await registry.metrics(), type: registry.contentType };
    },
    traffic: () => traffic.totals(),
    close: () => program.close(),
  };
}

function meanRoundTrips(tunnels: readonly TunnelSample[], { domainOf }: ServerSource): Map<string, number> {
  const all = new Map<string, number[]>();
  for (const { domain, stats } of tunnels) {
    const name = domainOf(domain);
    if (name === null || stats.rttMs === null) continue;
    const samples = all.get(name) ?? [];
    samples.push(stats.rttMs);
    all.set(name, samples);
  }
  const mean = (samples: readonly number[]) => samples.reduce((sum, each) => sum + each, 0) / samples.length;
  return new Map(Array.from(all, ([domain, samples]) => [domain, mean(samples) / 1_000]));
}
