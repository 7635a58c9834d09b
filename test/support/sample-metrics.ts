import type { AccessRecord } from '../../src/core/events.ts';
import type { TunnelStats } from '../../src/core/tunnel-stats.ts';
import { type AgentSource, createAgentMetrics } from '../../src/metrics/agent-metrics.ts';
import { createServerMetrics, type ServerSource } from '../../src/metrics/server-metrics.ts';

export const SAMPLE_STATS: TunnelStats = {
  openedAt: 0,
  rttMs: 20,
  streams: 3,
  streamWindowBytes: 262_144,
  tunnelWindowBytes: 1_048_576,
  heldBytes: 7,
  receivedBytes: 100,
  sentBytes: 50,
};

export const SAMPLE_PROGRAM = {
  config: { generation: 2, appliedAt: Date.now() - 5_000, lastReloadOk: true },
  droppedLogLines: 4,
  certificates: [{ hosts: '*.example.com', notAfter: Date.UTC(2030, 0, 1) }],
};

const MEMORY = { heldBytes: 7, budgetBytes: 1_000 };

/** A server that knows `www.test` and `*.wild.test`, which has a target beside it, with two tunnels. */
export function sampleServerMetrics(given: Partial<ServerSource> = {}) {
  const names = new Set(['www.test', '*.wild.test']);
  const metrics = createServerMetrics({
    domainOf: (name) => {
      if (names.has(name)) return name;
      return name.endsWith('.wild.test') && names.has('*.wild.test') ? '*.wild.test' : null;
    },
    domains: () =>
      Array.from(names, (name) => ({
        name,
        instances: [{ name: 'one', domain: name, tunnels: 1, streams: 3 }],
        hasTarget: name === '*.wild.test',
        active: { https: 2 },
      })),
    tunnels: () => [
      { domain: 'www.test', instance: 'one', slot: 0, stats: SAMPLE_STATS, certificateEndsAt: Date.UTC(2030, 0, 2) },
      { domain: 'a.wild.test', instance: 'one', slot: 0, stats: { ...SAMPLE_STATS, rttMs: null } },
    ],
    memory: () => MEMORY,
    program: () => SAMPLE_PROGRAM,
    ...given,
  });
  return { metrics, names, text: async () => (await metrics.text()).text };
}

export function sampleAgentMetrics(given: Partial<AgentSource> = {}) {
  const metrics = createAgentMetrics({
    domains: () => [{ name: 'www.test', wanted: 2 }],
    tunnels: () => [{ domain: 'www.test', instance: 'one', slot: 0, stats: SAMPLE_STATS }],
    memory: () => MEMORY,
    program: () => SAMPLE_PROGRAM,
    ...given,
  });
  return { metrics, text: async () => (await metrics.text()).text };
}

/** The record of one request. */
export function sampleAccess(more: Partial<AccessRecord> = {}): AccessRecord {
  return {
    start: 0,
    domain: 'www.test',
    instance: 'one',
    id: '0',
    way: 'https',
    method: 'GET',
    path: '/',
    status: 200,
    reason: 'done',
    in: 10,
    out: 20,
    durationMs: 30,
    remote: '192.0.2.1:1',
    ua: null,
    referer: null,
    ...more,
  };
}
