import { formatAddress } from '../core/address.ts';
import { Backoff, type BackoffOptions } from '../core/backoff.ts';
import { asBackdialError, type BackdialError } from '../core/errors.ts';
import type { Observer } from '../core/events.ts';
import type { ServerRoute } from './dial-server.ts';
import { PortRequests } from './port-requests.ts';
import type { ResolvedAgentDomain } from './resolve-options.ts';

/** How far a port has come: at every server address with a tunnel, at some not yet, or refused somewhere. */
export type PortState =
  | { readonly kind: 'pending' }
  | { readonly kind: 'open' }
  | { readonly kind: 'failed'; readonly error: BackdialError };

export interface PortClaimerOptions {
  /** In force at this moment. */
  domain(): ResolvedAgentDomain;
  readonly timeoutMs: number;
  /** Waits between attempts at a port that was refused; none is shorter than the base. */
  readonly backoff: BackoffOptions & { readonly baseMs: number };
  readonly observer: Observer;
  /** A claim was answered at a server, given by its label, or could not be made. */
  claimOnAnswer(port: number, server: string): void;
}

const EVERYWHERE = Symbol('every server');

/** One port at one server address. */
interface Claim {
  readonly port: number;
  readonly backoff: Backoff;
  state: PortState;
  /** What was told last, so that a port that stays taken is told of once. */
  told: string;
  retry: NodeJS.Timeout | undefined;
}

/** One server address, from its first tunnel to its last. */
interface Site {
  readonly route: ServerRoute;
  readonly requests: PortRequests;
  readonly claims: Map<number, Claim>;
}

/**
 * The ports that one domain wants its servers to open (design 3.2). A claim ends with the last tunnel of the instance, so that
 * it is repeated whenever there is a new one.
 */
export class PortClaimer {
  readonly #options: PortClaimerOptions;
  /** Ports, and where each is wanted: at servers by their labels, or at all of them. */
  readonly #wanted = new Map<number, Set<string | typeof EVERYWHERE>>();
  readonly #sites = new Map<string, Site>();

  constructor(options: PortClaimerOptions) {
    this.#options = options;
  }

  /** Server addresses that there is a tunnel to. */
  get routes(): ServerRoute[] {
    return Array.from(this.#sites.values(), ({ route }) => route);
  }

  /** Claims a port at one server, or at all of them. */
  want(port: number, server: string | typeof EVERYWHERE = EVERYWHERE): void {
    const where = this.#wanted.get(port) ?? new Set();
    if (where.has(server)) return;
    this.#wanted.set(port, where.add(server));
    for (const site of this.#sites.values()) {
      if (isAt(site, server) && !site.claims.has(port)) void this.#claim(site, port);
    }
  }

  /** Gives the port up; resolves when the servers were asked to close it. */
  async unwant(port: number, server: string | typeof EVERYWHERE = EVERYWHERE): Promise<void> {
    const where = this.#wanted.get(port);
    if (where?.delete(server) !== true) return;
    if (where.size === 0) this.#wanted.delete(port);
    const closing = Array.from(this.#sites.values(), async (site) => {
      const { requests, claims } = site;
      if (!isAt(site, server) || this.#isWanted(port, site)) return;
      clearTimeout(claims.get(port)?.retry);
      claims.delete(port);
      await requests.close(port).catch(() => {});
    });
    await Promise.all(closing);
  }

  /** At one server. */
  stateOf(port: number, server: string): PortState {
    let state: PortState = { kind: 'pending' };
    for (const site of this.#sites.values()) {
      if (!isAt(site, server)) continue;
      const claim = site.claims.get(port);
      if (claim?.state.kind === 'failed') return claim.state;
      if (claim === undefined || claim.state.kind === 'pending') return { kind: 'pending' };
      state = claim.state;
    }
    return state;
  }

  /** There is a new tunnel to a server address. */
  routeOnLive(route: ServerRoute): void {
    const key = keyOf(route);
    const known = this.#sites.get(key);
    const domain = this.#options.domain();
    const site = known ?? {
      route,
      requests: new PortRequests(route, domain, this.#options.timeoutMs),
      claims: new Map(),
    };
    this.#sites.set(key, site);
    for (const port of this.#wanted.keys()) if (this.#isWanted(port, site)) void this.#claim(site, port);
  }

  /** There is no tunnel to a server address any more. */
  routeOnLost(route: ServerRoute): void {
    const site = this.#sites.get(keyOf(route));
    if (site === undefined) return;
    this.#sites.delete(keyOf(route));
    this.#end(site);
  }

  stop(): void {
    for (const site of this.#sites.values()) this.#end(site);
    this.#sites.clear();
  }

  #isWanted(port: number, site: Site): boolean {
    const where = this.#wanted.get(port);
    return where !== undefined && (where.has(EVERYWHERE) || where.has(site.route.remote.label));
  }

  #end({ requests, claims }: Site): void {
    requests.stop();
    for (const { retry } of claims.values()) clearTimeout(retry);
    claims.clear();
  }

  async #claim(site: Site, port: number): Promise<void> {
    const fresh: Claim = {
      port,
      backoff: new Backoff(this.#options.backoff),
      state: { kind: 'pending' },
      told: '',
      retry: undefined,
    };
    const claim = site.claims.get(port) ?? fresh;
    site.claims.set(port, claim);
    clearTimeout(claim.retry);
    let state: PortState;
    try {
      await site.requests.open(port);
      state = { kind: 'open' };
    } catch (thrown) {
      state = { kind: 'failed', error: asBackdialError(thrown, 'internal') };
    }
    if (site.claims.get(port) !== claim) return;
    claim.state = state;
    this.#settle(site, claim, state);
  }

  #settle(site: Site, claim: Claim, state: PortState): void {
    // Two tunnels that came together have claimed it twice; a timer that nobody knows could not be ended.
    clearTimeout(claim.retry);
    const { name: domain, instance } = this.#options.domain();
    const server = site.route.remote.label;
    const { port } = claim;
    const about = state.kind === 'failed' ? state.error.message : state.kind;
    const isNews = claim.told !== about;
    claim.told = about;
    if (state.kind !== 'failed') {
      claim.backoff.reset();
      if (isNews) this.#options.observer({ type: 'port-opened', domain, instance, port, peer: server });
      this.#options.claimOnAnswer(port, server);
      return;
    }
    const retryInMs = Math.max(this.#options.backoff.baseMs, claim.backoff.next());
    claim.retry = setTimeout(() => void this.#claim(site, port), retryInMs);
    claim.retry.unref();
    const { code: reason, message: detail } = state.error;
    if (isNews) this.#options.observer({ type: 'port-refused', domain, instance, port, peer: server, reason, detail });
    this.#options.claimOnAnswer(port, server);
  }
}

function isAt({ route }: Site, server: string | typeof EVERYWHERE): boolean {
  return server === EVERYWHERE || route.remote.label === server;
}

function keyOf({ remote, address }: ServerRoute): string {
  return address === null ? remote.label : `${remote.label} ${formatAddress({ host: address, port: remote.port })}`;
}
