import { hostname } from 'node:os';
import { BackdialError } from '../core/errors.ts';
import type { BackdialEvent, Observer } from '../core/events.ts';
import type { Agent } from '../index.ts';
import type { Logs } from '../log/open-logs.ts';
import { createAgentMetrics } from '../metrics/agent-metrics.ts';
import type { Metrics } from '../metrics/server-metrics.ts';
import type { ApiRoute } from '../net/api-route.ts';
import { AGENT_DOMAIN_SCHEMA, TUNNEL_SCHEMA } from './api-schemas.ts';
import { ConfigRecord } from './config-record.ts';
import { metricsRoute } from './metrics-route.ts';
import { inactiveRoute, type SummaryParts, statusRoute } from './program-summary.ts';

/** What an operator gets to see of an agent through `api`. */
export class AgentOperation {
  readonly record = new ConfigRecord();
  readonly observer: Observer;
  readonly routes: readonly ApiRoute[];
  readonly #logs: Logs;
  #agent: Agent | null = null;
  #metrics: Metrics | null = null;
  #draining = false;

  constructor(logs: Logs) {
    this.#logs = logs;
    this.observer = (event) => this.#observe(event);
    this.routes = [
      statusRoute(() => this.#summary()),
      inactiveRoute(() => this.record.inactive),
      metricsRoute(() => this.#metrics),
      {
        method: 'GET',
        path: '/domains',
        operation: {
          summary: 'The active domains, which it serves, and the state of each tunnel that is wanted',
          responses: { 200: { description: 'the domains', schema: { type: 'array', items: AGENT_DOMAIN_SCHEMA } } },
        },
        handle: () => ({ json: this.#domains() }),
      },
      {
        method: 'GET',
        path: '/tunnels',
        operation: {
          summary: 'The live tunnels',
          responses: { 200: { description: 'the tunnels', schema: { type: 'array', items: TUNNEL_SCHEMA } } },
        },
        handle: () => ({ json: this.#tunnels().map(({ stats, ...info }) => ({ ...info, ...stats })) }),
      },
    ];
  }

  #summary(): SummaryParts {
    const { domains, memory } = this.#known.state();
    const tunnels = this.#tunnels();
    const { config, certificates, inactive } = this.record;
    return {
      kind: 'agent',
      name: hostname(),
      draining: this.#draining,
      domains: domains.length,
      inactive: inactive.length,
      served: domains.filter(({ links }) => links.some(({ tunnel }) => tunnel !== null)).length,
      tunnels: tunnels.length,
      active: tunnels.reduce((sum, { stats }) => sum + stats.streams, 0),
      memory,
      config,
      certificates,
    };
  }

  get #known(): Agent {
    if (this.#agent === null) throw new BackdialError('internal', 'the agent is not there yet');
    return this.#agent;
  }

  /** To be called once the agent was made, which was given {@link observer}. */
  watch(agent: Agent): void {
    this.#agent = agent;
  }

  /** The agent was told to stop. */
  drain(): void {
    this.#draining = true;
  }

  /** Metrics are counted while there is somebody to ask for them. To be called after {@link watch}. */
  measure(wanted: boolean): void {
    if (!wanted) this.#metrics?.close();
    this.#metrics = wanted ? (this.#metrics ?? this.#newMetrics()) : null;
  }

  #domains() {
    return this.#known.state().domains.map(({ name, instance, links }) => ({
      name,
      instance,
      links: links.map(({ tunnel: _tunnel, ...link }) => link),
    }));
  }

  #tunnels() {
    return this.#known.state().domains.flatMap(({ links }) => links.flatMap(({ tunnel }) => tunnel ?? []));
  }

  #newMetrics(): Metrics {
    return createAgentMetrics({
      domains: () => this.#known.state().domains.map(({ name, links }) => ({ name, wanted: links.length })),
      tunnels: () => this.#tunnels(),
      memory: () => this.#known.state().memory,
      program: () => {
        const { config, certificates } = this.record;
        return { config, certificates, droppedLogLines: this.#logs.dropped };
      },
    });
  }

  #observe(event: BackdialEvent): void {
    this.#logs.observer(event);
    this.#metrics?.observer(event);
  }
}
