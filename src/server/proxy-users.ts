import type { X509Certificate } from 'node:crypto';
import { peerAddress } from '../core/address.ts';
import { BackdialError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { NetworkList } from '../net/networks.ts';
import { dnsNames } from '../pki/authorities.ts';
import type { Credentials } from '../tunnel/server-handshake.ts';
import { proofOf } from './agent-certificate.ts';
import { parseBasic } from './credentials.ts';
import type { DomainTable } from './domain-table.ts';
import type { Holder } from './holder.ts';
import { type Identified, identify, type Shown } from './identify.ts';
import type { CredentialOptions } from './options.ts';
import type { ResolvedServerOptions } from './resolve-options.ts';
import type { CheckOptions, SecretChecker } from './secret-check.ts';
import { type AccessDeps, createDomainAccess, type DomainAccess, type LoginRefusal } from './visitor-access.ts';

export interface ProxyUsersOptions {
  readonly options: Pick<ResolvedServerOptions, 'proxy' | 'grants'>;
  readonly domains: () => DomainTable;
  /** Checks the secrets of identities and domains. */
  readonly secrets: Pick<SecretChecker, 'check'>;
  /** Checks the passwords of the listener's users. */
  readonly logins: AccessDeps;
}

const LOOPBACK = new NetworkList([
  { address: '127.0.0.0', prefix: 8 },
  { address: '::1', prefix: 128 },
]);
const REALM = 'backdial proxy';
/** Names of a certificate that are looked at. */
const MAX_NAMES = 16;

/** What somebody showed the proxy. */
export interface ProxyProof {
  readonly credentials: Credentials | null;
  /** The certificates of the connection, the leaf first; nothing of them is believed yet. */
  readonly chain: readonly X509Certificate[];
  /** The name that is asked for. */
  readonly host: string;
}

/** Who may use the proxy: at its own listener, and at the front door. */
export class ProxyUsers {
  readonly #users: ProxyUsersOptions;
  /** Of the credentials that were in force at the last login. */
  #logins: { readonly credentials: readonly CredentialOptions[]; readonly access: DomainAccess } | null = null;

  constructor(users: ProxyUsersOptions) {
    this.#users = users;
  }

  /** What a request proves its sender with; null where that could be nobody. `chain`: see {@link chainOf}. */
  shown(authorizations: readonly string[], chain: readonly X509Certificate[], host: string): ProxyProof | null {
    if (authorizations.length === 0) return chain.length === 0 ? null : { credentials: null, chain, host };
    const login = authorizations.length === 1 ? parseBasic(authorizations[0] ?? '') : null;
    if (login === null || login.login === '') return null;
    return { credentials: { identity: login.login, secret: new Secret(login.password) }, chain: [], host };
  }

  /** Who showed it, as of the configuration in force. Rejects as {@link identify} does. */
  async identify(proof: ProxyProof, about: CheckOptions = {}): Promise<Identified> {
    const { options, domains, secrets } = this.#users;
    const deps = { domains, secrets, identities: () => options.grants };
    const look = () => identify(deps, this.#shownBy(proof), about);
    let found = await look();
    while (typeof found !== 'string' && !this.isCurrent(found)) found = await look();
    return found;
  }

  /**
   * As {@link identify}, for somebody at `remote`: who showed a wrong secret too often lately is not looked at, as with logins of
   * visitors. Only what was wrong is counted: any number of right ones at once is none too many.
   */
  async identifyAt(remote: string, proof: ProxyProof): Promise<Identified | 'credentials-limit'> {
    const found = await this.#identifyUnlessLimited(remote, proof);
    const isWrong = typeof found === 'string' && found !== 'credentials-limit';
    if (isWrong && proof.credentials !== null) {
      this.#users.logins.limiter.fail(peerAddress(remote), performance.now());
    }
    return found;
  }

  async #identifyUnlessLimited(remote: string, proof: ProxyProof): Promise<Identified | 'credentials-limit'> {
    const { limiter } = this.#users.logins;
    const isLimited = proof.credentials !== null && limiter.waitMs(peerAddress(remote), performance.now()) > 0;
    return isLimited ? 'credentials-limit' : this.identify(proof, { from: peerAddress(remote) });
  }

  /**
   * A certificate proves its names under the authorities of a domain that one of them is for, or else of the domain that is
   * asked for.
   */
  #shownBy({ credentials, chain, host }: ProxyProof): Shown {
    const nothing = { credentials, certificateNames: [], domain: null };
    const [leaf] = chain;
    if (leaf === undefined) return nothing;
    const table = this.#users.domains();
    for (const name of [...dnsNames(leaf).slice(0, MAX_NAMES), host]) {
      const { policy, domain } = table.resolve(name) ?? { policy: null, domain: name };
      const { names, coversDomain } = proofOf({ chain, domain, instance: instanceOf(name), credentials }, policy);
      if (names.length > 0) return { ...nothing, certificateNames: names, certifiesDomain: coversDomain, domain };
    }
    return nothing;
  }

  isCurrent(holder: Holder): boolean {
    return holder.isCurrent(this.#users.options.grants);
  }

  /**
   * At the listener: a login of `credentials`, or an identity of the grants; without `credentials` whoever comes from this
   * machine, with or without an identity.
   */
  async logIn(
    remote: string,
    authorizations: readonly string[],
  ): Promise<LoginRefusal | { readonly holder: Holder | null }> {
    const { proxy, grants } = this.#users.options;
    const credentials = proxy?.credentials ?? [];
    if (credentials.length === 0 && !isLocal(remote)) {
      const detail = `${remote}: a proxy without \`credentials\` is for this machine only`;
      return { error: new BackdialError('proxy-local', detail), headers: [] };
    }
    const shown = this.shown(authorizations, [], '');
    if (shown !== null && grants.some(({ identity }) => identity === shown.credentials?.identity)) {
      const holder = await this.#identityOf(shown, remote);
      if (holder !== null) return { holder };
    }
    if (credentials.length === 0) return { holder: null };
    const refusal = await this.#accessOf(credentials).login(remote, authorizations);
    return refusal === null ? { holder: null } : { ...refusal, headers: challenge(refusal.headers) };
  }

  /** Null: not proven, or one address was wrong too often lately, of which logins are not looked at either. */
  async #identityOf(shown: ProxyProof, remote: string): Promise<Holder | null> {
    // What is wrong is counted by the login that follows, where there are any.
    const hasLogins = (this.#users.options.proxy?.credentials ?? []).length > 0;
    const found = hasLogins ? await this.#identifyUnlessLimited(remote, shown) : await this.identifyAt(remote, shown);
    return typeof found === 'string' ? null : found;
  }

  #accessOf(credentials: readonly CredentialOptions[]): DomainAccess {
    if (this.#logins?.credentials !== credentials) {
      const clients = { networks: [], ranges: [], credentials, banner: REALM, certificates: null };
      const access = createDomainAccess({ networks: [], forward: [], clients }, this.#users.logins);
      this.#logins = { credentials, access };
    }
    return this.#logins.access;
  }
}

function instanceOf(name: string): string {
  return name.slice(0, Math.max(0, name.indexOf('.')));
}

/** A Unix socket is of this machine, too. */
function isLocal(remote: string): boolean {
  const address = peerAddress(remote);
  return address === null || LOOPBACK.has(address);
}

/** What a proxy says instead of WWW-Authenticate. */
function challenge(headers: readonly string[]): string[] {
  return headers.map((text) => (text.toLowerCase() === 'www-authenticate' ? 'Proxy-Authenticate' : text));
}
