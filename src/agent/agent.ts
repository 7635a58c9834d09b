import { setTimeout as sleep } from 'node:timers/promises';
import { BackdialError } from '../core/errors.ts';
import type { BackdialEvent, TunnelInfo } from '../core/events.ts';
import type { IncomingStream } from '../tunnel/agent-session.ts';
import { Connector } from './connector.ts';
import { ExchangeServer } from './exchange-server.ts';
import { type AgentInternals, DEFAULT_INTERNALS } from './internals.ts';
import { joinStream } from './join.ts';
import type { LinkSnapshot } from './link.ts';
import type { AgentOptions } from './options.ts';
import { type ResolvedAgentDomain, type ResolvedAgentOptions, resolveAgentOptions } from './resolve-options.ts';
import { Resolver } from './resolver.ts';

/** What an agent does at this moment. */
export interface AgentState {
  readonly domains: ReadonlyArray<{
    readonly name: string;
    readonly instance: string;
    /** One for each tunnel that is wanted; without an address to dial, none. */
    readonly links: readonly LinkSnapshot[];
  }>;
}

/** The private side: dials servers for ever and joins the streams that they open to local targets. */
export interface Agent {
  /**
   * Resolves when every domain had its first tunnel; rejects with `dial-aborted` when the agent is closed before. Nothing
   * else ends the wait: an agent never gives up (watch `dial-failed`).
   */
  readonly ready: Promise<void>;
  /** Begins to dial. Once; later calls do nothing. */
  start(): void;
  state(): AgentState;
  /**
   * Says GOAWAY on every tunnel, lets the streams that are open end, and cuts what is left after `drainMs` (default: that
   * of the options; 0: at once). Resolves when nothing is open any more. Called again, it can only shorten the wait.
   */
  close(options?: { drainMs?: number }): Promise<void>;
}

/** Makes an agent; it dials nothing before `start`. Fails with `config-invalid`, all problems at once. */
export function createAgent(options: AgentOptions, internals: Partial<AgentInternals> = {}): Agent {
  return new DiallingAgent(resolveAgentOptions(options), { ...DEFAULT_INTERNALS, ...internals });
}

class DiallingAgent implements Agent {
  readonly ready: Promise<void>;
  readonly #options: ResolvedAgentOptions;
  readonly #connectors = new Map<ResolvedAgentDomain, Connector>();
  /** Domains that had no tunnel yet. */
  readonly #awaited: Set<string>;
  readonly #becomeReady = Promise.withResolvers<void>();
  readonly #joins = new Set<Promise<void>>();
  readonly #exchanges: ExchangeServer | null;
  #phase: 'made' | 'started' | 'closing' = 'made';
  #drained: Promise<void> | null = null;

  constructor(options: ResolvedAgentOptions, internals: AgentInternals) {
    this.#options = options;
    this.#exchanges = options.exchanges ? new ExchangeServer() : null;
    this.#awaited = new Set(options.domains.map(({ name }) => name));
    this.ready = this.#becomeReady.promise;
    // Whoever does not wait for it must not be ended by its rejection.
    this.ready.catch(() => {});
    const resolver = new Resolver(internals);
    for (const domain of options.domains) {
      const connector = new Connector({
        domain,
        resolver,
        proxyEnvironment: options.proxyEnvironment,
        internals,
        observer: (event) => this.#observe(event),
        drainMs: options.drainMs,
        tunnelMemoryBytes: options.tunnelMemoryBytes,
        onStream: (stream, tunnel) => this.#join(domain, stream, tunnel),
      });
      this.#connectors.set(domain, connector);
    }
  }

  start(): void {
    if (this.#phase !== 'made') return;
    this.#phase = 'started';
    for (const domain of this.#connectors.keys()) this.#warnInsecure(domain);
    for (const connector of this.#connectors.values()) connector.start();
  }

  state(): AgentState {
    return {
      domains: [...this.#connectors].map(([{ name, instance }, connector]) => ({
        name,
        instance,
        links: connector.snapshots,
      })),
    };
  }

  async close(options: { drainMs?: number } = {}): Promise<void> {
    const drainMs = options.drainMs ?? this.#options.drainMs;
    this.#phase = 'closing';
    this.#becomeReady.reject(new BackdialError('dial-aborted', 'the agent was closed'));
    this.#drained ??= this.#stop(drainMs);
    const done = new AbortController();
    const cut = sleep(drainMs, undefined, { signal: done.signal }).then(
      () => this.#stop(0),
      () => {},
    );
    await this.#drained;
    done.abort();
    await cut;
  }

  async #stop(drainMs: number): Promise<void> {
    await Promise.all([...this.#connectors.values()].map((connector) => connector.stop(drainMs)));
    await Promise.all(this.#joins);
  }

  #join(domain: ResolvedAgentDomain, stream: IncomingStream, tunnel: TunnelInfo): void {
    const { connectTimeoutMs, readTimeoutMs, writeTimeoutMs, observer } = this.#options;
    const timeouts = { readMs: readTimeoutMs, writeMs: writeTimeoutMs };
    const join = joinStream(stream, tunnel, {
      target: domain.target,
      connectTimeoutMs,
      timeouts,
      observer,
      exchanges: this.#exchanges,
    });
    const joined = join.catch((thrown: unknown) => this.#tellFault(thrown)).finally(() => this.#joins.delete(joined));
    this.#joins.add(joined);
  }

  #tellFault(thrown: unknown): void {
    const message = String(thrown instanceof Error ? thrown.stack : thrown);
    this.#options.observer({ type: 'warning', code: 'internal', message });
  }

  #observe(event: BackdialEvent): void {
    this.#options.observer(event);
    if (event.type !== 'tunnel-opened' || !this.#awaited.delete(event.tunnel.domain)) return;
    if (this.#awaited.size === 0) this.#becomeReady.resolve();
  }

  #warnInsecure({ name, trust }: ResolvedAgentDomain): void {
    if (!trust.insecure) return;
    const pinned = trust.pin === null ? '' : ' beyond its pin';
    this.#options.observer({
      type: 'warning',
      code: 'insecure',
      message: `${name}: \`insecure\` is set, the server's certificate is not verified${pinned}; whoever answers gets the secret`,
    });
  }
}
