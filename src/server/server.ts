import type { ApplyResult } from '../core/apply-result.ts';
import { type CloseOptions, drainMsOf } from '../core/close-options.ts';
import type { DomainState } from '../core/domain-state.ts';
import { BackdialError } from '../core/errors.ts';
import type { LiveTunnel, MemoryStats } from '../core/tunnel-stats.ts';
import { TunnelRegistry } from '../registry/registry.ts';
import { MemoryBudget } from '../tunnel/memory-budget.ts';
import { type LivenessOptions, SERVER_LIVENESS } from '../tunnel/types.ts';
import type { ServerAddresses } from './addresses.ts';
import { Admission } from './admission.ts';
import { Backends } from './backends.ts';
import { diffServerOptions } from './change.ts';
import { reportChanges } from './change-report.ts';
import { TunnelDialer } from './dialer.ts';
import { domainStates } from './domain-states.ts';
import { DomainStreams } from './domain-streams.ts';
import { FailureLimiter } from './failure-limiter.ts';
import { createFrontDoor, type FrontDoor } from './front-door.ts';
import { TunnelGate } from './gate.ts';
import { HelloRouter } from './hello-route.ts';
import { HostsFolder } from './hosts-folder.ts';
import { createHttpsWay, type HttpsWay } from './https-way.ts';
import { InForce, secretLists } from './in-force.ts';
import { lastCall } from './last-call.ts';
import { createLibraryWays, type LibraryWays } from './library-ways.ts';
import { followAll } from './listeners.ts';
import type { ServerOptions } from './options.ts';
import { PortClaims } from './port-claims.ts';
import { PortService } from './port-service.ts';
import { createProxyWay, type ProxyWay } from './proxy-way.ts';
import { createRedirect, httpsPortOf, type Redirect } from './redirect.ts';
import { type ResolvedServerOptions, resolveServerOptions } from './resolve-options.ts';
import { createSecretChecker, type SecretChecker } from './secret-check.ts';
import { createTcpWay, type TcpWay } from './tcp-way.ts';
import { createTlsWay, type TlsWay } from './tls-way.ts';
import { AccessControl } from './visitor-access.ts';

/** One server process: front doors, tunnels, ways in. */
export interface Server extends LibraryWays, AsyncDisposable {
  /** Opens every listener; fails with `listen-failed`, or `tunnel-draining` where it was closed, and then none stays open. */
  listen(): Promise<ServerAddresses>;
  /**
   * Goes over to other options, live: what is not concerned is not touched, visitors of a listener that stays lose nothing.
   * Fails with `config-invalid`, and then everything is as it was; a listener that cannot be opened is among the result's
   * failures instead. Tunnels that would not be let in any more are cut, within 5 s. `observer` cannot be changed.
   * A domain that is given again as the same frozen object is taken for unchanged.
   *
   * To be called after `listen()`. One call is carried out after the other.
   */
  apply(next: ServerOptions): Promise<ApplyResult>;
  /** The live tunnels; those that drain are not among them any more. */
  tunnels(): readonly LiveTunnel[];
  /** Tells the agent of one tunnel to leave; its streams have `drainMs` left. False where no live tunnel has the id. */
  drainTunnel(id: string): boolean;
  /** Every configured domain, with what serves it and what is under way. */
  domains(): readonly DomainState[];
  /** The configured domain whose rules hold for a name: itself, or the wildcard that covers it. Null: none, or an inactive one. */
  configuredName(name: string): string | null;
  /** What stalled readers make this server hold. */
  memory(): MemoryStats;
  /**
   * Stops listening at once, closes what is idle, lets the rest finish until `drainMs` (default: the option's; 0 ends it
   * now) and resolves when everything is closed. Idempotent; a later call with a shorter deadline takes effect. Fails with
   * `config-invalid` where the options are not what the types say, and then closes nothing. `await using` calls it.
   */
  close(options?: CloseOptions): Promise<void>;
}

/** What no user sets; tests make the deadlines shorter. */
export interface ServerInternals {
  readonly liveness: LivenessOptions;
}

/** Checks the options (`config-invalid`) and makes a server that does not listen yet. */
export function createServer(given: ServerOptions, internals: Partial<ServerInternals> = {}): Server {
  return new TunnelServer(resolveServerOptions(given), { liveness: SERVER_LIVENESS, ...internals });
}

class TunnelServer implements Server {
  readonly dial: LibraryWays['dial'];
  readonly httpAgent: LibraryWays['httpAgent'];
  readonly dispatcher: LibraryWays['dispatcher'];
  readonly #inForce: InForce;
  readonly #registry = new TunnelRegistry((gone) => {
    this.#claims.instanceOnGone(gone);
    this.#ports.instanceOnGone(gone);
  });
  readonly #streams = new DomainStreams();
  readonly #budget: MemoryBudget;
  readonly #admission: Admission;
  readonly #dialer: TunnelDialer;
  readonly #secrets: SecretChecker;
  /** Of visitors; with a thread of its own, so that a storm of logins does not keep agents waiting. */
  readonly #passwords = createSecretChecker();
  readonly #gate: TunnelGate;
  readonly #frontDoor: FrontDoor;
  readonly #https: HttpsWay;
  readonly #tls: TlsWay;
  readonly #tcp: TcpWay;
  readonly #backends = new Backends();
  readonly #claims: PortClaims;
  readonly #ports: PortService;
  readonly #redirect: Redirect;
  readonly #proxy: ProxyWay;
  /** Settles with the last `apply` that was asked for. */
  #applying: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;
  #deadline: NodeJS.Timeout | undefined;

  constructor(given: ResolvedServerOptions, internals: ServerInternals) {
    this.#inForce = new InForce(given);
    const { options, domains, doors } = this.#inForce;
    this.#budget = new MemoryBudget(options);
    this.#secrets = createSecretChecker({ lists: secretLists(options) });
    this.#admission = new Admission(options);
    const logins = { secrets: this.#passwords, limiter: new FailureLimiter() };
    const access = new AccessControl(logins);
    const [admission, streams, registry] = [this.#admission, this.#streams, this.#registry];
    const dialer = new TunnelDialer({
      domains,
      registry,
      backends: this.#backends,
      makeRoom: (names, instance) => this.#https.makeRoom(names, instance),
    });
    const gate = new TunnelGate({
      options,
      domains,
      registry,
      secrets: this.#secrets,
      access,
      liveness: internals.liveness,
      budget: this.#budget,
    });
    const claims = new PortClaims({
      options,
      domains,
      access,
      admission,
      streams,
      dialerOf: ({ domain, instance }) => ({
        open: (authority, dialling) => dialer.openAt(domain, instance, authority, dialling),
      }),
      isLive: ({ domain, instance }) => registry.has(domain, instance),
    });
    const ports = new PortService({ gate, claims, options });
    const https = createHttpsWay({
      options,
      domains,
      carriers: dialer,
      access,
      certificates: (door) => doors().of(door),
      streams,
      proxy: { takes: (arrival) => this.#proxy.takes(arrival) },
      isSpare: (raw) => admission.isSpare(raw),
      onService: async (request, socket, head, connection) => {
        const isAgent = await gate.admit(request, socket, head, connection.remote);
        if (isAgent) admission.keep(connection.raw);
        return isAgent;
      },
      onPort: (wanted, request, connection) => ports.answer(wanted, request, connection.remote),
    });
    this.#gate = gate;
    this.#claims = claims;
    this.#ports = ports;
    this.#dialer = dialer;
    const library = createLibraryWays(dialer);
    this.dial = library.dial;
    this.httpAgent = library.httpAgent;
    this.dispatcher = library.dispatcher;
    this.#https = https;
    const hosts = new HostsFolder(() => options.sni);
    const router = new HelloRouter({ domains, access, serves: (domain) => dialer.serves(domain), hosts });
    this.#tls = createTlsWay({ options, dialer, streams });
    this.#frontDoor = createFrontDoor({
      options,
      domains,
      doors,
      admission,
      route: (hello, remote, certificates) => router.route(hello, remote, certificates),
      passthrough: this.#tls,
      onVisitor: (tlsSocket, connection) => https.accept(tlsSocket, connection),
      clientAuthorities: (name, remote) => {
        const policy = domains().find(name);
        // Who may not know the domain, or would find nobody there, must not learn of it by the question.
        if (policy === null || access.of(policy).refusal(remote) !== null || !dialer.serves(name)) return null;
        return policy.clients.certificates;
      },
    });
    this.#tcp = createTcpWay({ options, dialer, access, admission, domains, streams });
    const parts = { options, domains, certificates: this.#inForce.certificates, access, dialer, streams, admission };
    this.#proxy = createProxyWay({ ...parts, secrets: this.#secrets, logins });
    this.#redirect = createRedirect({ options, admission, httpsPort: () => httpsPortOf(this.#frontDoor.addresses) });
  }

  async listen(): Promise<ServerAddresses> {
    try {
      this.#mustBeOpen();
      const frontDoor = await this.#frontDoor.listen();
      const tcp = await this.#tcp.listen();
      const redirect = await this.#redirect.listen();
      const proxy = await this.#proxy.listen();
      this.#mustBeOpen();
      return { frontDoor, tcp, redirect, proxy };
    } catch (error) {
      await this.close({ drainMs: 0 });
      // A close that came first has not seen what was opened since.
      await this.#cut();
      throw error;
    }
  }

  #mustBeOpen(): void {
    if (this.#closing !== null) throw new BackdialError('tunnel-draining', 'the server is closing');
  }

  apply(next: ServerOptions): Promise<ApplyResult> {
    const applied = this.#applying.then(() => this.#apply(next));
    this.#applying = applied.catch(() => {});
    return applied;
  }

  async #apply(given: ServerOptions): Promise<ApplyResult> {
    this.#mustBeOpen();
    const { options } = this.#inForce;
    const next = resolveServerOptions(given);
    const changes = diffServerOptions(options, next);
    this.#inForce.take(changes, next);
    this.#backends.follow(this.#inForce.domains());
    this.#secrets.expect(secretLists(options));
    this.#gate.recheck();
    this.#ports.recheck();
    this.#https.refresh();
    this.#redirect.refresh();
    this.#proxy.refresh();
    this.#frontDoor.warnOfUncovered();
    const failures = await followAll([this.#frontDoor, this.#tcp, this.#redirect, this.#proxy]);
    const restartRequired = changes.flatMap((change) => (change.type === 'restart-required' ? [change.key] : []));
    return { changes: reportChanges(changes), restartRequired, failures };
  }

  tunnels(): readonly LiveTunnel[] {
    return Array.from(this.#registry.tunnels(), (tunnel) => ({ ...tunnel.info, stats: () => tunnel.stats }));
  }

  drainTunnel(id: string): boolean {
    return this.#gate.drainTunnel(id, this.#inForce.options.drainMs);
  }

  domains(): readonly DomainState[] {
    return domainStates(this.#inForce.domains(), this.#registry, this.#streams);
  }

  configuredName(name: string): string | null {
    return this.#inForce.domains().find(name)?.name ?? null;
  }

  memory(): MemoryStats {
    return this.#budget.stats;
  }

  async close(options: CloseOptions = {}): Promise<void> {
    const drainMs = drainMsOf(options, this.#inForce.options.drainMs);
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => void this.#cut(), drainMs);
    this.#closing ??= this.#drain(drainMs);
    return this.#closing.finally(() => clearTimeout(this.#deadline));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Visitors first, then the agents: what was asked is under way by then, and the agents dial whoever listens next. */
  async #drain(drainMs: number): Promise<void> {
    for (const each of [this.#https, ...this.#listeners()]) each.stop();
    const newcomers = () => this.#frontDoor.newcomers + this.#https.newcomers + this.#streams.opening;
    if (newcomers() > 0) await lastCall(newcomers);
    this.#dialer.close();
    this.#https.drain();
    const tunnels = this.#gate.drain(drainMs);
    await Promise.all([tunnels, ...this.#listeners().map((each) => each.drained())]);
    await this.#cut();
  }

  #listeners() {
    return [this.#frontDoor, this.#tcp, this.#claims, this.#redirect, this.#proxy];
  }

  /** Ends what is open, now. */
  async #cut(): Promise<void> {
    this.#gate.close();
    this.#tls.close();
    await Promise.all([this.#https.close(), ...this.#listeners().map((each) => each.close())]);
    this.#admission.close();
    this.#secrets.close();
    this.#passwords.close();
  }
}
