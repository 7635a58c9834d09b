import type { Socket } from 'node:net';
import type { BackdialEvent, Observer, TunnelInfo } from '../core/events.ts';
import type { IncomingStream } from '../tunnel/agent-session.ts';
import { connectThrough } from './connect-through.ts';
import { Connector, type ConnectorOptions } from './connector.ts';
import { DomainTargets } from './domain-targets.ts';
import type { LinkSnapshot } from './link.ts';
import { PortClaimer, type PortState } from './port-claimer.ts';
import type { ResolvedAgentDomain } from './resolve-options.ts';
import type { ResolvedTarget } from './resolve-routes.ts';
import { SlotPool } from './slot-pool.ts';

/** What all domains of an agent share. */
export type ServedDomainOptions = Omit<
  ConnectorOptions,
  'domain' | 'slots' | 'onStream' | 'onRouteLive' | 'onRouteLost'
> & {
  onStream(arrival: StreamArrival): void;
  /** A claim of a port was answered at a server: see {@link ServedDomain.portState}. */
  claimOnAnswer(domain: ServedDomain, exposed: ExposedPort): void;
};

/** A stream, what it may be joined to, and where it came from. */
export interface StreamArrival {
  readonly targets: DomainTargets;
  readonly stream: IncomingStream;
  readonly tunnel: TunnelInfo;
  /** Label of the server. */
  readonly server: string;
}

/** A port that an exposure opens, at one server. */
export interface ExposedPort {
  readonly port: number;
  /** Its label. */
  readonly server: string;
}

/** One domain that an agent serves: its tunnels, and what its streams are joined to at this moment. */
export class ServedDomain {
  readonly #options: ServedDomainOptions;
  /** Shared by all connectors: tunnels that come must not replace those that are to go. */
  readonly #slots = new SlotPool();
  #domain: ResolvedAgentDomain;
  #targets: DomainTargets;
  #connector: Connector;
  /** Those before it, which serve until it can, and then drain. */
  readonly #former = new Set<Connector>();
  readonly #claimer: PortClaimer;
  /** What ports are joined to that are not the configuration's: those of exposures. */
  readonly #exposed = new Map<ExposedPort, ResolvedTarget>();
  #deadline: NodeJS.Timeout | undefined;
  #started = false;
  #stopping = false;

  constructor(domain: ResolvedAgentDomain, options: ServedDomainOptions) {
    this.#options = options;
    this.#domain = domain;
    this.#targets = new DomainTargets(domain, options.observer);
    const { observer, internals } = options;
    this.#claimer = new PortClaimer({
      domain: () => this.#domain,
      timeoutMs: internals.handshakeTimeoutMs,
      backoff: internals.claimBackoff,
      observer,
      claimOnAnswer: (port, server) => options.claimOnAnswer(this, { port, server }),
    });
    for (const port of domain.claims) this.#claimer.want(port);
    this.#connector = this.#newConnector();
  }

  get domain(): ResolvedAgentDomain {
    return this.#domain;
  }

  get snapshots(): LinkSnapshot[] {
    return this.#connector.snapshots;
  }

  start(): void {
    this.#started = true;
    this.#connector.start();
  }

  /**
   * Serves the domain in another way. Streams to come follow at once, and exchanges to come use no stream of before. With `relink` new tunnels are made; the old ones are
   * kept until the new ones are up, however long that takes, and drain then.
   */
  change(domain: ResolvedAgentDomain, relink: boolean): void {
    const { claims } = this.#domain;
    this.#domain = domain;
    for (const port of claims) if (!domain.claims.includes(port)) void this.#claimer.unwant(port);
    for (const port of domain.claims) this.#claimer.want(port);
    this.#targets.close();
    this.#targets = new DomainTargets(domain, this.#options.observer);
    for (const [exposed, target] of this.#exposed) this.#targets.expose(exposed, target);
    if (!this.#started) {
      this.#connector = this.#newConnector();
      return;
    }
    if (!relink) {
      this.#connector.follow(domain.remotes);
      this.outdateStreams();
      return;
    }
    // What is claimed from now on is claimed in the new name, once there are tunnels of it.
    this.#claimer.stop();
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    const former = this.#connector;
    this.#former.add(former);
    // What never had a tunnel serves nobody, and the new ones dial where it dialled.
    if (!former.snapshots.some(({ state }) => state === 'live')) void this.#leave(former);
    this.#connector = this.#newConnector();
    this.#connector.start();
  }

  /** Something that streams were joined with changed: no exchange to come uses one of before. */
  outdateStreams(): void {
    this.#connector.outdateStreams();
  }

  /** Whether the configuration has a target for a port. */
  hasPort(port: number): boolean {
    return this.#domain.ports[port] !== undefined;
  }

  /** Claims a port at a server and joins its streams to `target`. The same object ends it. */
  expose(exposed: ExposedPort, target: ResolvedTarget): void {
    this.#exposed.set(exposed, target);
    this.#targets.expose(exposed, target);
    this.#claimer.want(exposed.port, exposed.server);
  }

  /** Gives the port up; resolves when the server was told. */
  async unexpose(exposed: ExposedPort): Promise<void> {
    this.#exposed.delete(exposed);
    this.#targets.unexpose(exposed);
    await this.#claimer.unwant(exposed.port, exposed.server);
  }

  /** Whether there is a tunnel to the server with this label. */
  reaches(server: string): boolean {
    return this.#claimer.routes.some(({ remote }) => remote.label === server);
  }

  /** A byte stream to `host:port`, which the server with this label dials. */
  connectThrough(server: string, authority: string, signal: AbortSignal): Promise<Socket> {
    const routes = this.#claimer.routes.filter(({ remote }) => remote.label === server);
    const timeoutMs = this.#options.internals.handshakeTimeoutMs;
    return connectThrough(routes, this.#domain, authority, { timeoutMs, signal });
  }

  portState({ port, server }: ExposedPort): PortState {
    return this.#claimer.stateOf(port, server);
  }

  /** Drains all tunnels; resolves when nothing is left. `drainMs` 0: cut at once, also what drains already. */
  async stop(drainMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#deadline);
    this.#claimer.stop();
    await Promise.all([this.#connector, ...this.#former].map((connector) => connector.stop(drainMs)));
    this.#targets.close();
  }

  #newConnector(): Connector {
    const connector: Connector = new Connector({
      ...this.#options,
      domain: this.#domain,
      slots: this.#slots,
      observer: (event) => this.#connectorOnEvent(connector, event),
      onStream: (stream, tunnel, server) => this.#options.onStream({ targets: this.#targets, stream, tunnel, server }),
      onRouteLive: (route) => {
        if (connector === this.#connector && !this.#stopping) this.#claimer.routeOnLive(route);
      },
      onRouteLost: (route) => {
        if (connector === this.#connector) this.#claimer.routeOnLost(route);
      },
    });
    return connector;
  }

  #connectorOnEvent(connector: Connector, event: BackdialEvent): void {
    const observer: Observer = this.#options.observer;
    observer(event);
    if (event.type !== 'tunnel-opened' || connector !== this.#connector) return;
    if (this.#former.size === 0 || this.#stopping) return;
    if (connector.snapshots.every(({ state }) => state === 'live')) this.#dismiss();
    // One that cannot be reached must not keep the former ones for ever.
    else this.#deadline ??= setTimeout(() => this.#dismiss(), this.#options.internals.handshakeTimeoutMs);
  }

  #dismiss(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    for (const former of this.#former) void this.#leave(former);
  }

  async #leave(former: Connector): Promise<void> {
    await former.stop(this.#options.settings.drainMs);
    this.#former.delete(former);
  }
}
