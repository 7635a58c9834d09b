import type { Way } from './events.ts';

/** One live instance of a domain. */
export interface InstanceState {
  readonly name: string;
  /** The name that it claimed; under a wildcard domain it may be one of those that this covers. */
  readonly domain: string;
  readonly tunnels: number;
  /** Open streams of all its tunnels, kept-alive ones included. */
  readonly streams: number;
}

/** A configured domain at the moment of asking. */
export interface DomainState {
  readonly name: string;
  /** Agents that serve it. */
  readonly instances: readonly InstanceState[];
  /** Whether a `target` beside the server takes what comes while no agent serves it. */
  readonly hasTarget: boolean;
  /** Requests and byte streams under way, by way in; those without any are not there. */
  readonly active: Readonly<Partial<Record<Way, number>>>;
}
