import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { formatAddress } from '../core/address.ts';
import { Backoff } from '../core/backoff.ts';
import { asBackdialError, BackdialError, type ErrorCode } from '../core/errors.ts';
import type { Observer, TunnelInfo } from '../core/events.ts';
import type { TunnelStats } from '../core/tunnel-stats.ts';
import { VERSION } from '../core/version.ts';
import { requestUpgrade, type UpgradeAnswer } from '../tunnel/agent-handshake.ts';
import { type AgentTunnel, type IncomingStream, serveTunnel } from '../tunnel/agent-session.ts';
import type { MemoryBudget } from '../tunnel/memory-budget.ts';
import { authorizationOf } from './authorization.ts';
import { dialServer, type ServerRoute } from './dial-server.ts';
import type { DialTurns } from './dial-turns.ts';
import type { AgentInternals } from './internals.ts';
import type { ResolvedAgentDomain, ResolvedAgentOptions } from './resolve-options.ts';

export type LinkState = 'waiting' | 'dialling' | 'live' | 'stopped';

/** What one link works with. */
export interface LinkOptions {
  readonly domain: ResolvedAgentDomain;
  readonly route: ServerRoute;
  readonly slot: number;
  readonly internals: AgentInternals;
  /** In force at the moment when they are looked at. */
  readonly settings: Pick<ResolvedAgentOptions, 'drainMs'>;
  readonly budget: MemoryBudget;
  readonly turns: DialTurns;
  readonly observer: Observer;
  /** `server`: the label of the one that the stream came from. */
  onStream(stream: IncomingStream, tunnel: TunnelInfo, server: string): void;
  /** The link got a tunnel. */
  onLive(link: Link, answer: UpgradeAnswer): void;
  /** The tunnel that it had takes no more streams. */
  onLost(): void;
}

/** A link as `state()` shows it. */
export interface LinkSnapshot {
  /** `host:port` as configured. */
  readonly server: string;
  /** `ip:port`; null when a proxy resolves the name. */
  readonly address: string | null;
  readonly slot: number;
  readonly state: LinkState;
  /** Epoch ms. */
  readonly since: number;
  /** The process that took the tunnel; null while there is none. */
  readonly node: string | null;
  readonly rttMs: number | null;
  /** The current tunnel; null while there is none. */
  readonly tunnel: (TunnelInfo & { readonly stats: TunnelStats }) | null;
  /** Why the last attempt failed; null once there is a tunnel. */
  readonly failure: ErrorCode | null;
}

/** Keeps one tunnel up: one (domain, server, address, slot), independent of all others, for ever. */
export class Link {
  readonly #options: LinkOptions;
  readonly #backoff: Backoff;
  readonly #stopped = new AbortController();
  /** The tunnels that are up: the current one, and those that still drain. */
  readonly #tunnels = new Set<AgentTunnel>();
  readonly #closing = new Set<Promise<void>>();
  #state: LinkState = 'waiting';
  #since = Date.now();
  #live: { tunnel: AgentTunnel; info: TunnelInfo; node: string | null } | null = null;
  #failure: BackdialError | null = null;
  #running: Promise<void> | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.internals.backoff);
  }

  /** The process that holds the current tunnel; null while there is none. */
  get node(): string | null {
    return this.#live?.node ?? null;
  }

  /** The current one; null while there is none. */
  get tunnel(): AgentTunnel | null {
    return this.#live?.tunnel ?? null;
  }

  get snapshot(): LinkSnapshot {
    const { route, slot } = this.#options;
    return {
      server: route.remote.label,
      address: this.#address,
      slot,
      state: this.#state,
      since: this.#since,
      node: this.node,
      rttMs: this.#live?.tunnel.rttMs ?? null,
      tunnel: this.#live === null ? null : { ...this.#live.info, stats: this.#live.tunnel.stats },
      failure: this.#failure?.code ?? null,
    };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Stops dialling, drains what is up, resolves when nothing is left. `drainMs` 0: cut at once. */
  async stop(drainMs: number): Promise<void> {
    this.#stopped.abort();
    for (const tunnel of this.#tunnels) this.#part(tunnel, drainMs);
    await this.#running;
    await Promise.all(this.#closing);
  }

  /** The targets changed: see {@link AgentTunnel.outdateStreams}. */
  outdateStreams(): void {
    this.#live?.tunnel.outdateStreams();
  }

  /** Gives the current tunnel up and dials again at once, to reach another process of the server. */
  redial(): void {
    if (this.#live === null) return;
    this.#backoff.reset();
    this.#part(this.#live.tunnel, this.#options.settings.drainMs);
  }

  get #address(): string | null {
    const { address, remote } = this.#options.route;
    return address === null ? null : formatAddress({ host: address, port: remote.port });
  }

  /**
   *        ┌─────────── failed (back-off), lost or GOAWAY (at once, then back-off), replaced (the cap) ───────────┐
   *        v                                                                                                      │
   *     waiting ──time, turn──> dialling: TCP, proxy, TLS, upgrade ──101──> live ──GOAWAY, lost, silent───────────┘
   *        │                           │                                     │
   *        └──────── stop() ───────────┴─────────────────────────────────────┴──────> stopped
   */
  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    let waitMs = this.#backoff.next();
    while (!signal.aborted) {
      this.#enter('waiting');
      await sleep(waitMs, undefined, { signal }).catch(() => {});
      waitMs = await this.#attempt();
    }
    this.#enter('stopped');
  }

  /** One dial and the tunnel that came of it; gives the wait until the next. */
  async #attempt(): Promise<number> {
    const { signal } = this.#stopped;
    let socket: TLSSocket;
    let answer: UpgradeAnswer;
    try {
      [socket, answer] = await this.#options.turns.during(this.#options.route, signal, () => this.#connect());
    } catch (error) {
      return signal.aborted ? 0 : this.#fail(asBackdialError(error, 'server-unreachable'));
    }
    if (signal.aborted) {
      socket.destroy();
      return 0;
    }
    const tunnel = this.#serve(socket, answer);
    const started = performance.now();
    await leavingOf(tunnel);
    this.#live = null;
    this.#options.onLost();
    if (performance.now() - started >= this.#options.internals.steadyAfterMs) this.#backoff.reset();
    if (tunnel.reason !== 'replaced' || signal.aborted) return this.#backoff.next();
    this.#warnReplaced();
    return this.#backoff.capMs;
  }

  async #connect(): Promise<[TLSSocket, UpgradeAnswer]> {
    const { domain, route, slot, internals } = this.#options;
    const { signal } = this.#stopped;
    this.#enter('dialling');
    const expires = performance.now() + internals.handshakeTimeoutMs;
    const socket = await dialServer(route, domain.trust, {
      timeoutMs: internals.handshakeTimeoutMs,
      signal,
      proof: domain.proof,
    });
    const request = {
      host: route.remote.label.replace(/:443$/, ''),
      service: domain.service,
      authorization: authorizationOf(domain),
      domain: domain.name,
      instance: domain.instance,
      slot,
      streamPerVisitor: domain.streamPerVisitor,
      version: VERSION,
    };
    const timeoutMs = Math.max(1, Math.ceil(expires - performance.now()));
    const answer = await requestUpgrade(socket, request, { signal, timeoutMs }).catch((error: unknown) => {
      socket.destroy();
      throw asBackdialError(error, 'server-unreachable');
    });
    if (socket.destroyed)
      throw new BackdialError('server-unreachable', `${route.remote.label} closed the connection after its 101`);
    return [socket, answer];
  }

  #serve(socket: TLSSocket, answer: UpgradeAnswer): AgentTunnel {
    const { domain, route, slot, internals, observer } = this.#options;
    const info: TunnelInfo = {
      id: randomUUID(),
      domain: domain.name,
      instance: domain.instance,
      slot,
      remote: this.#address ?? route.remote.label,
      node: answer.node ?? '',
    };
    const tunnel = serveTunnel(socket, {
      concurrency: domain.concurrency,
      liveness: internals.liveness,
      budget: this.#options.budget,
      onStream: (stream) => this.#options.onStream(stream, info, this.#options.route.remote.label),
    });
    this.#tunnels.add(tunnel);
    this.#live = { tunnel, info, node: answer.node };
    this.#failure = null;
    this.#enter('live');
    observer({ type: 'tunnel-opened', tunnel: info, peerVersion: null });
    this.#follow(tunnel, info);
    this.#options.onLive(this, answer);
    return tunnel;
  }

  /** Tells how the tunnel ends, exactly once, whether or not the link has a newer one by then. */
  #follow(tunnel: AgentTunnel, info: TunnelInfo): void {
    const { observer } = this.#options;
    const opened = performance.now();
    const follow = async () => {
      await leavingOf(tunnel);
      if (tunnel.streamCount > 0 && tunnel.reason !== null && DRAINING.has(tunnel.reason)) {
        observer({ type: 'tunnel-draining', tunnel: info, reason: tunnel.reason });
      }
      const { reason, detail } = await tunnel.closed;
      this.#tunnels.delete(tunnel);
      const lifetimeMs = Math.round(performance.now() - opened);
      observer({ type: 'tunnel-closed', tunnel: info, reason, detail, lifetimeMs });
    };
    const closing = follow().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #part(tunnel: AgentTunnel, drainMs: number): void {
    if (drainMs === 0) tunnel.destroy();
    else void tunnel.drain(drainMs);
  }

  #fail(error: BackdialError): number {
    const { domain, route, slot, observer } = this.#options;
    this.#failure = error;
    const attempt = this.#backoff.attempts;
    const retryInMs = this.#backoff.next(error.code === 'handshake-refused');
    observer({
      type: 'dial-failed',
      server: route.remote.label,
      address: this.#address,
      domain: domain.name,
      instance: domain.instance,
      slot,
      reason: error.code,
      detail: error.message,
      attempt,
      retryInMs,
    });
    return retryInMs;
  }

  #warnReplaced(): void {
    const { domain, route, slot, observer } = this.#options;
    observer({
      type: 'warning',
      code: 'instance-replaced',
      message:
        `another agent serves ${domain.name} at ${route.remote.label} under the same instance name ` +
        `"${domain.instance}" (slot ${slot}) and took the tunnel over; give each agent an \`instance\` of its own`,
    });
  }

  #enter(state: LinkState): void {
    this.#state = state;
    this.#since = Date.now();
  }
}

const DRAINING: ReadonlySet<string> = new Set(['replaced', 'drained', 'peer-drained']);

/** Resolves when the tunnel takes no more streams. */
function leavingOf(tunnel: AgentTunnel): Promise<void> {
  if (tunnel.leaving.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    tunnel.leaving.addEventListener('abort', () => resolve(), { once: true });
  });
}
