import { setTimeout as sleep } from 'node:timers/promises';
import type { ApplyResult } from '../core/apply-result.ts';
import { type CloseOptions, drainMsOf } from '../core/close-options.ts';
import { Crowd } from '../core/crowd.ts';
import { BackdialError } from '../core/errors.ts';
import type { BackdialEvent } from '../core/events.ts';
import type { MemoryStats } from '../core/tunnel-stats.ts';
import { MemoryBudget } from '../tunnel/memory-budget.ts';
import { type AgentChange, diffAgentOptions, reportAgentChanges } from './change.ts';
import { DialTurns } from './dial-turns.ts';
import { ExchangeServer } from './exchange-server.ts';
import { Exposures } from './exposures.ts';
import { type AgentInternals, DEFAULT_INTERNALS } from './internals.ts';
import { joinStream } from './join.ts';
import type { LinkSnapshot } from './link.ts';
import type { AgentOptions } from './options.ts';
import { type ResolvedAgentDomain, type ResolvedAgentOptions, resolveAgentOptions } from './resolve-options.ts';
import { Resolver } from './resolver.ts';
import { ServedDomain, type ServedDomainOptions, type StreamArrival } from './served-domain.ts';

/** What an agent does at this moment. */
export interface AgentState {
  readonly domains: ReadonlyArray<{
    readonly name: string;
    readonly instance: string;
    /** One for each tunnel that is wanted; without an address to dial, none. */
    readonly links: readonly LinkSnapshot[];
  }>;
  readonly memory: MemoryStats;
}

/** The private side: dials servers for ever and joins the streams that they open to local targets. */
export interface Agent extends AsyncDisposable {
  /**
   * Resolves when every domain had its first tunnel; rejects with `dial-aborted` when the agent is closed before. Nothing
   * else ends the wait: an agent never gives up (watch `dial-failed`).
   */
  readonly ready: Promise<void>;
  /** Begins to dial. Once; later calls do nothing. */
  start(): void;
  /**
   * Goes over to other options, live: other targets and time-outs are those of the streams to come, no tunnel is lost for
   * them. A domain whose tunnels have to be made anew is served by the old ones until the new ones are up; one that is gone
   * drains. Fails with `config-invalid`, and then everything is as it was. `observer` cannot be changed; no domain at all
   * will do.
   */
  apply(next: AgentOptions): Promise<ApplyResult>;
  state(): AgentState;
  /** Ports that are opened at run time; to be used after `start()`. */
  readonly exposures: Exposures;
  /**
   * Says GOAWAY on every tunnel, lets the streams that are open end, and cuts what is left after `drainMs` (default: that
   * of the options; 0: at once). Resolves when nothing is open any more. Called again, it can only shorten the wait.
   * Fails with `config-invalid` where the options are not what the types say, and then closes nothing. `await using` calls it.
   */
  close(options?: CloseOptions): Promise<void>;
}

/** Makes an agent; it dials nothing before `start`. Fails with `config-invalid`, all problems at once. */
export function createAgent(options: AgentOptions, internals: Partial<AgentInternals> = {}): Agent {
  return new DiallingAgent(resolveAgentOptions(options), { ...DEFAULT_INTERNALS, ...internals });
}

/** What streams are joined with, besides the targets of their domain. */
const OF_STREAMS: ReadonlySet<string> = new Set<keyof ResolvedAgentOptions>([
  'readTimeoutMs',
  'writeTimeoutMs',
  'exchanges',
]);

class DiallingAgent implements Agent {
  readonly ready: Promise<void>;
  readonly exposures = new Exposures(() => this.#domains.values());
  /** In force at this moment; one object for ever. */
  readonly #options: ResolvedAgentOptions;
  readonly #budget: MemoryBudget;
  readonly #domains = new Map<string, ServedDomain>();
  /** Domains that were taken away and drain. */
  readonly #parting = new Set<ServedDomain>();
  readonly #shared: ServedDomainOptions;
  /** Domains that had no tunnel yet. */
  readonly #awaited: Set<string>;
  readonly #becomeReady = Promise.withResolvers<void>();
  readonly #joins = new Crowd<Promise<void>>();
  readonly #exchanges = new ExchangeServer();
  #phase: 'made' | 'started' | 'closing' = 'made';
  #drained: Promise<void> | null = null;

  constructor(options: ResolvedAgentOptions, internals: AgentInternals) {
    this.#options = { ...options };
    this.#budget = new MemoryBudget(this.#options);
    this.#awaited = new Set(options.domains.map(({ name }) => name));
    this.ready = this.#becomeReady.promise;
    // Whoever does not wait for it must not be ended by its rejection.
    this.ready.catch(() => {});
    this.#shared = {
      resolver: new Resolver(internals),
      proxyEnvironment: options.proxyEnvironment,
      internals,
      settings: this.#options,
      budget: this.#budget,
      turns: new DialTurns(internals.dialsPerAddress),
      observer: (event) => this.#observe(event),
      onStream: (arrival) => this.#join(arrival),
      claimOnAnswer: (domain, exposed) => this.exposures.claimOnAnswer(domain, exposed),
    };
    for (const domain of options.domains) this.#domains.set(domain.name, new ServedDomain(domain, this.#shared));
  }

  start(): void {
    if (this.#phase !== 'made') return;
    this.#phase = 'started';
    for (const { domain } of this.#domains.values()) this.#warnInsecure(domain);
    for (const served of this.#domains.values()) served.start();
  }

  async apply(given: AgentOptions): Promise<ApplyResult> {
    if (this.#phase === 'closing') throw new BackdialError('dial-aborted', 'the agent is closing');
    const next = resolveAgentOptions(given, { leastDomains: 0 });
    const changes = diffAgentOptions(this.#options, next);
    const { observer, proxyEnvironment } = this.#options;
    Object.assign(this.#options, next, { observer, proxyEnvironment });
    for (const change of changes) this.#carryOut(change);
    this.exposures.follow();
    this.#judgeReady();
    const restartRequired = changes.flatMap((change) => (change.type === 'restart-required' ? [change.key] : []));
    return { changes: reportAgentChanges(changes), restartRequired, failures: [] };
  }

  #carryOut(change: AgentChange): void {
    if (change.type === 'domain-added') this.#add(change.domain);
    else if (change.type === 'domain-removed') this.#remove(change.domain.name);
    else if (change.type === 'domain-changed') {
      if (!change.before.trust.insecure) this.#warnInsecure(change.domain);
      this.#domains.get(change.domain.name)?.change(change.domain, change.relink);
    } else if (change.type === 'setting-changed' && OF_STREAMS.has(change.key)) {
      for (const served of this.#domains.values()) served.outdateStreams();
    }
  }

  #add(domain: ResolvedAgentDomain): void {
    const served = new ServedDomain(domain, this.#shared);
    this.#domains.set(domain.name, served);
    this.#awaited.add(domain.name);
    if (this.#phase !== 'started') return;
    this.#warnInsecure(domain);
    served.start();
  }

  #remove(name: string): void {
    const served = this.#domains.get(name);
    if (served === undefined) return;
    this.#domains.delete(name);
    this.#awaited.delete(name);
    this.#parting.add(served);
    void served.stop(this.#options.drainMs).then(() => this.#parting.delete(served));
  }

  state(): AgentState {
    return {
      domains: Array.from(this.#domains.values(), ({ domain: { name, instance }, snapshots }) => ({
        name,
        instance,
        links: snapshots,
      })),
      memory: this.#budget.stats,
    };
  }

  async close(options: CloseOptions = {}): Promise<void> {
    const drainMs = drainMsOf(options, this.#options.drainMs);
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

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #stop(drainMs: number): Promise<void> {
    const exposures = this.exposures.close(drainMs === 0);
    await Promise.all([...this.#domains.values(), ...this.#parting].map((served) => served.stop(drainMs)));
    await Promise.all(this.#joins);
    await exposures;
  }

  #join({ targets, stream, tunnel, server }: StreamArrival): void {
    const { connectTimeoutMs, readTimeoutMs, writeTimeoutMs, exchanges, observer } = this.#options;
    const timeouts = { readMs: readTimeoutMs, writeMs: writeTimeoutMs };
    const join = joinStream(stream, tunnel, {
      targets,
      server,
      connectTimeoutMs,
      timeouts,
      observer,
      exchanges: this.#exchanges,
      tellsExchanges: exchanges,
    });
    const joined = join.catch((thrown: unknown) => this.#tellFault(thrown));
    const place = this.#joins.enter(joined);
    void joined.then(() => this.#joins.leave(place));
  }

  #tellFault(thrown: unknown): void {
    const message = String(thrown instanceof Error ? thrown.stack : thrown);
    this.#options.observer({ type: 'warning', code: 'internal', message });
  }

  #observe(event: BackdialEvent): void {
    this.#options.observer(event);
    if (event.type === 'tunnel-opened' && this.#awaited.delete(event.tunnel.domain)) this.#judgeReady();
  }

  #judgeReady(): void {
    if (this.#phase === 'started' && this.#awaited.size === 0) this.#becomeReady.resolve();
  }

  #warnInsecure({ name, trust }: ResolvedAgentDomain): void {
    if (!trust.insecure || trust.pin !== null) return;
    this.#options.observer({
      type: 'warning',
      code: 'insecure',
      message: `${name}: \`insecure\` is set, the server's certificate is not verified; whoever answers gets the secret`,
    });
  }
}
