import { VERSION } from '../core/version.ts';
import type { ApiRoute } from '../net/api-route.ts';
import { STATUS_SCHEMA } from './api-schemas.ts';
import type { ConfigRecord } from './config-record.ts';

/** What `GET /status` tells of the program as a whole. */
export interface ProgramSummary {
  readonly kind: 'server' | 'agent';
  readonly version: string;
  /** Of the node, or the agent's machine. */
  readonly name: string;
  readonly startedAt: number;
  readonly draining: boolean;
  /** Active ones. */
  readonly domains: number;
  /** Domains whose file does not say `active: true`. */
  readonly inactive: number;
  /** Of a server: domains with a live instance. Of an agent: domains with a live tunnel. */
  readonly served: number;
  readonly tunnels: number;
  /** Requests and byte streams of visitors under way; of an agent: open streams. */
  readonly active: number;
  readonly memory: { readonly heldBytes: number; readonly budgetBytes: number };
  readonly config: ConfigRecord['config'];
  readonly certificates: ConfigRecord['certificates'];
}

/** What differs between the two programs. */
export type SummaryParts = Omit<ProgramSummary, 'version' | 'startedAt'>;

/** The summary as it is told. */
export function summaryOf(parts: SummaryParts): ProgramSummary {
  return { ...parts, version: VERSION, startedAt: Math.round(performance.timeOrigin) };
}

/** `GET /inactive`. */
export function inactiveRoute(names: () => readonly string[]): ApiRoute {
  return {
    method: 'GET',
    path: '/inactive',
    operation: {
      summary: 'The domains whose file does not say `active: true`: nobody is served there',
      responses: { 200: { description: 'their names', schema: { type: 'array', items: { type: 'string' } } } },
    },
    handle: () => ({ json: names() }),
  };
}

/** `GET /status`. */
export function statusRoute(parts: () => SummaryParts): ApiRoute {
  return {
    method: 'GET',
    path: '/status',
    operation: {
      summary: 'The program as a whole: version, start, counts, configuration, certificates',
      responses: { 200: { description: 'the summary', schema: STATUS_SCHEMA } },
    },
    handle: () => ({ json: summaryOf(parts()) }),
  };
}
