import type { BackdialError } from '../core/errors.ts';
import type { Observer, TunnelInfo } from '../core/events.ts';
import { type Environment, proxyFor } from '../net/http-proxy.ts';
import type { IncomingStream } from '../tunnel/agent-session.ts';
import type { MemoryBudget } from '../tunnel/memory-budget.ts';
import type { ServerRoute } from './dial-server.ts';
import type { DialTurns } from './dial-turns.ts';
import type { AgentInternals } from './internals.ts';
import type { LinkSnapshot } from './link.ts';
import { LinkGroup } from './link-group.ts';
import type { Remote, ResolvedAgentDomain, ResolvedAgentOptions } from './resolve-options.ts';
import type { Resolver } from './resolver.ts';
import type { SlotPool } from './slot-pool.ts';

/** What the connector of one domain works with. */
export interface ConnectorOptions {
  readonly domain: ResolvedAgentDomain;
  readonly resolver: Resolver;
  readonly proxyEnvironment: Environment;
  readonly internals: AgentInternals;
  /** In force at the moment when they are looked at. `drainMs` starts when an address is gone. */
  readonly settings: Pick<ResolvedAgentOptions, 'drainMs'>;
  readonly budget: MemoryBudget;
  readonly turns: DialTurns;
  readonly slots: SlotPool;
  readonly observer: Observer;
  /** `server`: the label of the one that the stream came from. */
  onStream(stream: IncomingStream, tunnel: TunnelInfo, server: string): void;
  /** There is a new tunnel to an address of a server. */
  onRouteLive(route: ServerRoute): void;
  /** There is no tunnel to an address of a server any more. */
  onRouteLost(route: ServerRoute): void;
}

/**
 * Keeps the tunnels of one domain up: `connections` to every address of every server that `remote` names. Where a proxy
 * is used, it resolves the name, and the name counts as one address.
 */
export class Connector {
  readonly #options: ConnectorOptions;
  /** By server and address; `null` stands for what a proxy resolves. */
  readonly #groups = new Map<Remote, Map<string | null, LinkGroup>>();
  /** What ends the watching of each name. */
  readonly #watches = new Map<Remote, () => void>();
  readonly #parting = new Set<LinkGroup>();

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  get snapshots(): LinkSnapshot[] {
    return [...this.#groups.values()].flatMap((groups) => [...groups.values()].flatMap((group) => group.snapshots));
  }

  start(): void {
    this.follow(this.#options.domain.remotes);
  }

  /** Dials these servers from now on: the tunnels of one that is not among them drain, one that came gets its own. */
  follow(remotes: readonly Remote[]): void {
    const labels = new Set(remotes.map(({ label }) => label));
    for (const remote of this.#groups.keys()) {
      if (!labels.delete(remote.label)) this.#leave(remote);
    }
    for (const remote of remotes) if (labels.has(remote.label)) this.#watch(remote);
  }

  #watch(remote: Remote): void {
    const { resolver, proxyEnvironment } = this.#options;
    this.#groups.set(remote, new Map());
    if (proxyFor(proxyEnvironment, remote.host, remote.port) !== null) {
      this.#meet(remote, [null]);
      return;
    }
    const unwatch = resolver.watch(remote.host, {
      addressesOnChange: (addresses) => this.#meet(remote, addresses),
      lookupOnFail: (error, attempt, retryInMs) => this.#tellLookup(remote, error, attempt, retryInMs),
    });
    this.#watches.set(remote, unwatch);
  }

  #leave(remote: Remote): void {
    this.#watches.get(remote)?.();
    this.#watches.delete(remote);
    this.#meet(remote, []);
    this.#groups.delete(remote);
  }

  /** The targets changed: no stream that is open now is to be used for another exchange. */
  outdateStreams(): void {
    for (const groups of this.#groups.values()) for (const group of groups.values()) group.outdateStreams();
  }

  /**
   * Stops watching and dialling, drains every tunnel; resolves when nothing is left. `drainMs` 0: cut at once, also what
   * drains already.
   */
  async stop(drainMs: number): Promise<void> {
    for (const unwatch of this.#watches.values()) unwatch();
    this.#watches.clear();
    const groups = [...this.#groups.values()].flatMap((byAddress) => [...byAddress.values()]);
    await Promise.all([...groups, ...this.#parting].map((group) => group.stop(drainMs)));
  }

  /** New address: new tunnels. Address gone: its tunnels drain. */
  #meet(remote: Remote, addresses: ReadonlyArray<string | null>): void {
    const groups = this.#groups.get(remote);
    if (groups === undefined) return;
    for (const [address, group] of groups) {
      if (addresses.includes(address)) continue;
      groups.delete(address);
      this.#parting.add(group);
      void group.stop(this.#options.settings.drainMs).then(() => this.#parting.delete(group));
    }
    for (const address of addresses) {
      if (groups.has(address)) continue;
      const group = this.#newGroup(remote, address);
      groups.set(address, group);
      group.start();
    }
  }

  #newGroup(remote: Remote, address: string | null): LinkGroup {
    const { proxyEnvironment } = this.#options;
    const proxy = proxyFor(proxyEnvironment, remote.host, remote.port);
    const route = { remote, address, proxy };
    return new LinkGroup({ ...this.#options, route });
  }

  #tellLookup(remote: Remote, error: BackdialError, attempt: number, retryInMs: number): void {
    const { domain, observer } = this.#options;
    observer({
      type: 'dial-failed',
      server: remote.label,
      address: null,
      domain: domain.name,
      instance: domain.instance,
      slot: 0,
      reason: error.code,
      detail: error.message,
      attempt,
      retryInMs,
    });
  }
}
