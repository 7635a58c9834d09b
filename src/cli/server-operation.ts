import { BackdialError } from '../core/errors.ts';
import type { BackdialEvent, Observer } from '../core/events.ts';
import type { LiveTunnel, Server } from '../index.ts';
import type { Logs } from '../log/open-logs.ts';
import { createServerMetrics, type ServerMetrics } from '../metrics/server-metrics.ts';
import type { TunnelSample } from '../metrics/tunnels.ts';
import type { ApiRoute } from '../net/api-route.ts';
import { DOMAIN_SCHEMA, DRAINED_SCHEMA, TUNNEL_SCHEMA } from './api-schemas.ts';
import { ConfigRecord } from './config-record.ts';
import { metricsRoute } from './metrics-route.ts';
import { pageRoutes } from './page-routes.ts';
import { inactiveRoute, type SummaryParts, statusRoute, summaryOf } from './program-summary.ts';
import { RefusalList } from './refusal-list.ts';
import { StatusFeed } from './status-feed.ts';

/** What an operator gets to see of a server, and to do with it, through `admin`. */
export class ServerOperation {
  readonly record = new ConfigRecord();
  readonly observer: Observer;
  readonly routes: readonly ApiRoute[];
  readonly #logs: Logs;
  readonly #name: string;
  readonly #refusals = new RefusalList();
  readonly #feed: StatusFeed;
  #server: Server | null = null;
  #metrics: ServerMetrics | null = null;
  #draining = false;

  constructor(logs: Logs, name: string) {
    this.#logs = logs;
    this.#name = name;
    this.observer = (event) => this.#observe(event);
    this.#feed = new StatusFeed({
      summary: () => summaryOf(this.#summary()),
      domains: () => this.#known.domains(),
      inactive: () => this.record.inactive,
      tunnels: () => this.#known.tunnels(),
      traffic: () => this.#metrics?.traffic() ?? new Map(),
      domainOf: (name) => this.#domainOf(name),
      refusals: this.#refusals,
    });
    this.routes = [
      statusRoute(() => this.#summary()),
      inactiveRoute(() => this.record.inactive),
      metricsRoute(() => this.#metrics),
      ...pageRoutes(),
      {
        // For the page, and no promise to anybody else.
        method: 'GET',
        path: '/changes',
        handle: ({ query }) => ({ json: this.#feed.changes(query.get('since') ?? '') }),
      },
      {
        method: 'GET',
        path: '/domains',
        operation: {
          summary: 'Every active domain, what serves it, and what is under way',
          responses: { 200: { description: 'the domains', schema: { type: 'array', items: DOMAIN_SCHEMA } } },
        },
        handle: () => ({ json: this.#known.domains() }),
      },
      {
        method: 'GET',
        path: '/tunnels',
        operation: {
          summary: 'The live tunnels',
          query: { domain: { description: 'only those of this configured domain', schema: { type: 'string' } } },
          responses: { 200: { description: 'the tunnels', schema: { type: 'array', items: TUNNEL_SCHEMA } } },
        },
        handle: ({ query }) => {
          const wanted = query.get('domain');
          const tunnels = this.#known.tunnels();
          const all = wanted === null ? tunnels : tunnels.filter(({ domain }) => this.#domainOf(domain) === wanted);
          return { json: all.map(tunnelJson) };
        },
      },
      {
        method: 'DELETE',
        path: '/tunnels/{id}',
        operation: {
          summary: 'Ask one tunnel to leave: its agent dials anew, its streams have `drain` left',
          responses: {
            200: { description: 'it was asked', schema: DRAINED_SCHEMA },
            404: { description: 'no live tunnel has this id' },
          },
        },
        handle: ({ parameters: { id = '' } }) => {
          if (this.#known.drainTunnel(id)) return { json: { id, draining: true } };
          throw new BackdialError('api-not-found', `no live tunnel has the id ${JSON.stringify(id.slice(0, 100))}`);
        },
      },
    ];
  }

  #summary(): SummaryParts {
    const domains = this.#known.domains();
    const { config, certificates, inactive } = this.record;
    return {
      kind: 'server',
      name: this.#name,
      draining: this.#draining,
      domains: domains.length,
      inactive: inactive.length,
      served: domains.filter(({ instances, hasTarget }) => instances.length > 0 || hasTarget).length,
      tunnels: this.#known.tunnels().length,
      active: domains.reduce((sum, { active }) => sum + Object.values(active).reduce((all, each) => all + each, 0), 0),
      memory: this.#known.memory(),
      config,
      certificates,
    };
  }

  get #known(): Server {
    if (this.#server === null) throw new BackdialError('internal', 'the server is not there yet');
    return this.#server;
  }

  /** To be called once the server was made, which was given {@link observer}. */
  watch(server: Server): void {
    this.#server = server;
  }

  /** The server was told to stop. */
  drain(): void {
    this.#draining = true;
  }

  /** Metrics are counted while there is somebody to ask for them. */
  measure(wanted: boolean): void {
    if (!wanted) this.#metrics?.close();
    this.#metrics = wanted ? (this.#metrics ?? this.#newMetrics()) : null;
  }

  #newMetrics(): ServerMetrics {
    return createServerMetrics({
      domainOf: (name) => this.#domainOf(name),
      domains: () => this.#known.domains(),
      tunnels: () => this.#known.tunnels().map(sampleOf),
      memory: () => this.#known.memory(),
      program: () => {
        const { config, certificates } = this.record;
        return { config, certificates, droppedLogLines: this.#logs.dropped };
      },
    });
  }

  #observe(event: BackdialEvent): void {
    this.#logs.observer(event);
    if (this.#metrics === null) return;
    this.#metrics.observer(event);
    this.#refusals.observe(event);
  }

  #domainOf(name: string): string | null {
    return this.#server?.configuredName(name) ?? null;
  }
}

function sampleOf(tunnel: LiveTunnel): TunnelSample {
  const { stats, ...info } = tunnel;
  return { ...info, stats: stats() };
}

function tunnelJson({ stats, ...info }: LiveTunnel): object {
  return { ...info, ...stats() };
}
