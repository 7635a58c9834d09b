import { peerAddress } from '../core/address.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { parseTimeRange, type TimeRange } from '../core/time-range.ts';
import { NetworkList } from '../net/networks.ts';
import { believedVisitor, type RequestSender } from './believed-visitor.ts';
import { CredentialTable, type Login, parseBasic } from './credentials.ts';
import type { FailureLimiter } from './failure-limiter.ts';
import type { ResolvedDomain } from './resolve-options.ts';
import type { SecretChecker } from './secret-check.ts';

/** Why a visitor gets the answer of a domain that does not exist (design 6.5). */
type PlaceRefusal = 'network-refused' | 'time-refused';

/** Why a visitor who may otherwise pass is not let in, and what its answer says more. */
export interface LoginRefusal {
  readonly error: BackdialError;
  /** `[name, value, ...]`. */
  readonly headers: readonly string[];
}

/** What access control works with. */
export interface AccessDeps {
  /** Checks visitors' passwords. Not that of the agents' secrets: a storm of logins must not keep agents out. */
  readonly secrets: Pick<SecretChecker, 'check'>;
  readonly limiter: FailureLimiter;
  /** Epoch ms. Default: the clock. */
  readonly now?: () => number;
}

/** Who may come to one domain. */
export interface DomainAccess {
  /** True when agents may come from the peer's address (`ip:port`). */
  admitsAgent(remote: string): boolean;
  /** Who sends a request that came from `peer` (`ip:port`) with this X-Forwarded-For. */
  senderOf(peer: string, forwardedFor: string): RequestSender;
  /** What every way in asks first: `networks`, then `ranges`. Null: the visitor may go on. */
  refusal(remote: string): PlaceRefusal | null;
  /** True when visitors must log in. */
  readonly asksLogin: boolean;
  /**
   * Judges the Authorization fields of a request; exactly one counts. Null: logged in. Ten failures from one address cost
   * nothing, then one more is looked at every 6 s, before any hashing.
   */
  login(remote: string, authorizations: readonly string[]): Promise<LoginRefusal | null>;
}

/** Who may come to which domain; what the options of a domain mean is worked out once for each. */
export class AccessControl {
  readonly #deps: AccessDeps;
  readonly #byDomain = new WeakMap<ResolvedDomain, DomainAccess>();
  readonly #ofNobody: DomainAccess;

  constructor(deps: AccessDeps) {
    this.#deps = deps;
    this.#ofNobody = createDomainAccess(NOBODY, deps);
  }

  /** Null: the domain is unknown. Its access asks what the others ask, for the time that it takes. */
  of(domain: ResolvedDomain | null): DomainAccess {
    if (domain === null) return this.#ofNobody;
    let access = this.#byDomain.get(domain);
    if (access === undefined) {
      access = createDomainAccess(domain, this.#deps);
      this.#byDomain.set(domain, access);
    }
    return access;
  }
}

type AccessRules = Pick<ResolvedDomain, 'networks' | 'clients' | 'forward'>;

const NOBODY: AccessRules = {
  networks: [],
  forward: [],
  clients: { networks: [], ranges: [], credentials: [], banner: '', certificates: null },
};
/** What is asked where nothing is configured: the answer is not used, its time is. */
const DECOY_NETWORKS = new NetworkList([{ address: '192.0.2.0', prefix: 24 }]);
const DECOY_RANGES = [parseTimeRange('mon-fri 08:00-19:00')];

/** Access control of one domain, whose options have no fault. */
export function createDomainAccess(domain: AccessRules, deps: AccessDeps): DomainAccess {
  return new CheckedAccess(domain, deps);
}

class CheckedAccess implements DomainAccess {
  readonly asksLogin: boolean;
  readonly #deps: AccessDeps;
  readonly #now: () => number;
  readonly #agents: NetworkList | null;
  readonly #networks: NetworkList | null;
  readonly #proxies: NetworkList | null;
  readonly #ranges: readonly TimeRange[] | null;
  readonly #credentials: CredentialTable;
  readonly #challenge: string;
  /** Logins that are being checked, by address and Authorization: a browser asks for many things at once. */
  readonly #underWay = new Map<string, Promise<LoginRefusal | null>>();

  constructor({ networks, clients, forward }: AccessRules, deps: AccessDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? Date.now;
    this.#agents = networks.length === 0 ? null : new NetworkList(networks);
    this.#proxies = forward.length === 0 ? null : new NetworkList(forward);
    this.#networks = clients.networks.length === 0 ? null : new NetworkList(clients.networks);
    this.#ranges = clients.ranges.length === 0 ? null : clients.ranges.map(parseTimeRange);
    this.#credentials = new CredentialTable(clients.credentials, deps.secrets);
    this.asksLogin = clients.credentials.length > 0;
    this.#challenge = `Basic realm="${clients.banner.replace(/["\\]/g, '\\$&')}", charset="UTF-8"`;
  }

  admitsAgent(remote: string): boolean {
    return this.#agents?.has(peerAddress(remote)) ?? true;
  }

  senderOf(peer: string, forwardedFor: string): RequestSender {
    return believedVisitor(this.#proxies, peer, forwardedFor);
  }

  refusal(remote: string): PlaceRefusal | null {
    const now = this.#now();
    // Always both, so that the time of a refusal does not tell what is configured.
    const isIn = (this.#networks ?? DECOY_NETWORKS).has(peerAddress(remote));
    const holds = (this.#ranges ?? DECOY_RANGES).some((range) => range(now));
    if (this.#networks !== null && !isIn) return 'network-refused';
    return this.#ranges !== null && !holds ? 'time-refused' : null;
  }

  login(remote: string, authorizations: readonly string[]): Promise<LoginRefusal | null> {
    const [authorization = ''] = authorizations;
    const login = authorizations.length === 1 ? parseBasic(authorization) : null;
    if (login === null) return Promise.resolve(this.#ask('credentials-missing'));
    const address = peerAddress(remote);
    const id = `${address} ${authorization}`;
    const underWay = this.#underWay.get(id);
    if (underWay !== undefined) return underWay;
    const judged = this.#judge(address, login).finally(() => this.#underWay.delete(id));
    this.#underWay.set(id, judged);
    return judged;
  }

  async #judge(address: string | null, login: Login): Promise<LoginRefusal | null> {
    const { limiter } = this.#deps;
    const waitMs = limiter.take(address, performance.now());
    if (waitMs > 0) {
      const headers = ['Retry-After', String(Math.ceil(waitMs / 1_000))];
      return { error: new BackdialError('credentials-limit'), headers };
    }
    try {
      if (!(await this.#credentials.check(login, address))) return this.#ask('credentials-wrong');
    } catch (thrown) {
      limiter.giveBack(address);
      return { error: asBackdialError(thrown, 'internal'), headers: [] };
    }
    limiter.giveBack(address);
    return null;
  }

  #ask(code: 'credentials-missing' | 'credentials-wrong'): LoginRefusal {
    return { error: new BackdialError(code), headers: ['WWW-Authenticate', this.#challenge] };
  }
}
