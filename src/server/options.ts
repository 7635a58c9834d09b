import type { ListenAddress, Network, SocketAddress, SocketOwner } from '../core/address.ts';
import type { PortRange } from '../core/connect-grant.ts';
import type { Observer } from '../core/events.ts';
import type { Secret } from '../core/secret.ts';

/** A certificate and the hosts that it serves; the first entry whose `hosts` match wins. */
export interface CertificateOptions {
  /** Exact names, `*.suffix` or `*`; `/regex/` too. */
  readonly hosts: readonly string[];
  /** PEM, leaf first. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

/** A front door of which more is to be said than its address. */
export interface FrontDoorListener {
  readonly address: ListenAddress;
  /** What it presents instead of the server's `certificates`. Default none: those. */
  readonly certificates?: readonly CertificateOptions[];
  /**
   * Networks of proxies that begin each connection with a PROXY protocol header (version 1 or 2), which says who the visitor
   * is. Who comes from elsewhere is turned away, and so is who sends none. On a Unix socket every peer is believed. Default none:
   * no header is expected.
   */
  readonly proxyProtocol?: readonly Network[];
  /** Permissions of the file of a Unix socket. Default null: what the process's umask leaves. */
  readonly mode?: number | null;
  /** Who owns the file of a Unix socket. Default null: who runs the process. */
  readonly owner?: SocketOwner | null;
}

/** How the streams of a domain are spread over its live instances. */
export type Balance = 'round-robin' | 'least-streams' | 'random';

/** Who ends the TLS of a domain's visitors: the server, or the target. */
export type TlsPolicy = 'terminate' | 'passthrough';

/** Backends by the names of folders (features 5.3). */
export interface SniOptions {
  /** Absolute path. Each folder in it is a host: `<name>/tls-socket` is where its TLS goes, `<name>/send-proxy-v1` asks for a PROXY line. */
  readonly hosts: string;
  /** Whether the folders have the hashes of names ({@link hashedName}) instead of the names. Default false. */
  readonly hashed?: boolean;
}

/** A login of visitors and what proves it. */
export interface CredentialOptions {
  /** 1 to 128 bytes without a colon or control characters. The same one may come several times, each with its password. */
  readonly login: string;
  /** Plain, or a SHA-512-crypt hash (`$6$...`). */
  readonly password: Secret;
}

/**
 * Which visitors reach a domain. The entries of one list are alternatives; every list that has any must be satisfied.
 * Whoever fails `networks`, `ranges` or `certificates` gets the answer of a domain that does not exist (design 6.5).
 */
export interface ClientOptions {
  /** Where they may come from, by every way in. Default none: anywhere. */
  readonly networks?: readonly Network[];
  /** When they may come, by every way in: entries that `parseTimeRange` reads. Default none: at any time. */
  readonly ranges?: readonly string[];
  /** HTTP Basic logins, any of which will do. Not with `listen` or `passthrough`. Default none: nobody is asked. */
  readonly credentials?: readonly CredentialOptions[];
  /** Realm that visitors are shown with the question for a login; printable ASCII. Default: the domain's name. */
  readonly banner?: string;
  /** PEM of the authorities, with their revocation lists, one of which must have issued the visitor's TLS certificate. Not with `listen` or `passthrough`. Default null: none is asked for. */
  readonly certificates?: string | null;
}

/** Somewhere that the server itself may dial to. */
export interface DestinationGrant {
  /** A network that has the address which is dialled; or a host name as it is asked for: exact, or `*.suffix` (one label more). */
  readonly host: string | Network;
  /** Null: any. */
  readonly ports: PortRange | null;
}

/** Names that may be reached through the server. */
export interface ConnectGrant {
  /** A domain (its instances too), an `instance.domain`, `*.suffix` (one label more) or `*` (every name). */
  readonly name: string;
  /** Null: any. A name that is asked for without a port is asked for with 80 and 443. */
  readonly ports: PortRange | null;
}

/** What somebody may claim or reach (design 6.6). Default of every list: nothing. */
export interface GrantOptions {
  /** Names that it may claim as an agent: exact, or `*.suffix` for one label more. */
  readonly domains?: readonly string[];
  /** TCP ports that the server may open for it. */
  readonly ports?: readonly PortRange[];
  /** What the server may dial for it. */
  readonly destinations?: readonly DestinationGrant[];
  /** Names that it may reach through the server. */
  readonly connect?: readonly ConnectGrant[];
}

/** A named identity and what it may do. `secrets` or `certificate` is needed; either proves it. */
export interface IdentityOptions extends GrantOptions {
  /** 1 to 128 bytes without a colon or control characters; not the name of a domain. */
  readonly identity: string;
  /** Any of these proves it: plain, or a SHA-512-crypt hash (`$6$...`). Default none. */
  readonly secrets?: readonly Secret[];
  /** A DNS name that a client certificate must have: exact, or `*.suffix` for one label more. Default null: none will do. */
  readonly certificate?: string | null;
}

/** One exposed service, as the server knows it (design 6.3). */
export interface DomainOptions {
  /** `www.example.com`, `devservice` or `*.example.com`; canonical. */
  readonly name: string;
  /** Any of these lets an agent in: plain, or a SHA-512-crypt hash (`$6$...`). */
  readonly secrets: readonly Secret[];
  /**
   * PEM of the authorities, with their revocation lists (`X509 CRL`), that issue agents' certificates: a certificate for the domain, or
   * for `instance.domain`, lets in without a secret. Default null: none does.
   */
  readonly certificates?: string | null;
  /**
   * What becomes of the TLS of visitors who name the domain in SNI: `terminate`, the default, ends it here; `passthrough`
   * hands every byte, the ClientHello first, to the target, and nobody here ever sees a key.
   */
  readonly tls?: TlsPolicy;
  /**
   * A service beside the server, spoken to in the clear (with `passthrough`: in the visitor's TLS). It takes what no agent of
   * the domain does. Default null: none.
   */
  readonly target?: SocketAddress | null;
  /** Version of the PROXY header that tells `target` the visitor's address. Default null: none. */
  readonly proxyProtocol?: 1 | 2 | null;
  /** Networks that its agents may come from. Default none: anywhere. */
  readonly networks?: readonly Network[];
  /**
   * Networks of proxies whose X-Forwarded-For is believed: whom it names counts as the visitor. The list is then passed on, with
   * the proxy's address at its end. Default none: the visitor is who connects, whatever X-Forwarded-For says.
   */
  readonly forward?: readonly Network[];
  /** What whoever serves it may claim and reach beside it. Default: nothing. */
  readonly grants?: GrantOptions;
  /** Which visitors reach it. Default: all. */
  readonly clients?: ClientOptions;
  /** TCP listeners of the domain. Default none. */
  readonly listen?: readonly SocketAddress[];
  /** Streams at the same time; more wait in a bounded queue. Default 1,000. */
  readonly concurrency?: number;
  /** Default `round-robin`. */
  readonly balance?: Balance;
  /** Largest request body, bytes. 0: no limit. Default: the server's. */
  readonly maxBodyBytes?: number;
  /** Whether responses carry X-Transaction-Id. Default: the server's. */
  readonly transaction?: boolean;
  /** The stealth status. Default: the server's. */
  readonly unavailableStatus?: number;
}

/** The forward proxy's own listener: HTTP in the clear. */
export interface ProxyOptions {
  readonly listen: readonly SocketAddress[];
  /** Logins, any of which will do. Default none: visitors of this machine alone may use it, without a login. */
  readonly credentials?: readonly CredentialOptions[];
}

/** What a server is given; {@link resolveServerOptions} checks it and fills in the defaults. */
export interface ServerOptions {
  /** Front doors: TLS listeners for visitors and agents. */
  readonly listen: readonly (ListenAddress | FrontDoorListener)[];
  /** Descriptors of the sockets that the process was handed, by name, for `{ systemd: name }`. Default none. */
  readonly sockets?: Readonly<Record<string, readonly number[]>>;
  /** At least one unless every listener has its own; the CLI makes a self-signed one where the configuration has none. */
  readonly certificates: readonly CertificateOptions[];
  readonly domains: readonly DomainOptions[];
  /**
   * Names that are configured and served to nobody (`active: false`), wildcards too; canonical. One of them is not served by
   * the wildcard domain that covers it either. Default none.
   */
  readonly inactive?: readonly string[];
  /** This node's name, in Proxy-Status and Backdial-Node. Default: the host name. */
  readonly name?: string;
  /** Path of the agents' handshake. Default `/.well-known/backdial-agent`. */
  readonly service?: string;
  /** Largest request head, bytes. Default 65,536. */
  readonly maxHeaderBytes?: number;
  /** Largest request body, bytes. 0, the default: no limit. */
  readonly maxBodyBytes?: number;
  /** Starts when a visitor's connection has nothing to do; ends with its next request. 0: none. Default 65,000. */
  readonly idleTimeoutMs?: number;
  /** Starts with accept, or a request's first byte; ends when its head is complete. 0: none. Default 10,000. */
  readonly readTimeoutMs?: number;
  /** Starts when bytes wait for a visitor; ends when it takes some. 0: none. Default 20,000. */
  readonly writeTimeoutMs?: number;
  /** Connections at the same time, in all; default 20,000. 0: no limit. */
  readonly maxConnections?: number;
  /** Connections at the same time, from one address; tunnels do not count. Default 5,000. 0: no limit. */
  readonly maxConnectionsPerAddress?: number;
  /** Stealth status: what unknown, inactive and unserved domains answer. Default 404. */
  readonly unavailableStatus?: number;
  /** Whether responses carry X-Transaction-Id. Default true. */
  readonly transaction?: boolean;
  /** Named identities and what they may claim and reach. Default none. */
  readonly grants?: readonly IdentityOptions[];
  /** The forward proxy's own listener, which is the grant to all names for whoever may use it. Default null: none. */
  readonly proxy?: ProxyOptions | null;
  /** Listeners that send plain HTTP to https. Default none. */
  readonly redirect?: readonly ListenAddress[];
  /** Backends for names that no domain has. Default null: none. */
  readonly sni?: SniOptions | null;
  /** What stalled readers may hold in one tunnel, bytes. Default 67,108,864. */
  readonly tunnelMemoryBytes?: number;
  /** What they may hold in all tunnels together, bytes. Default 536,870,912. */
  readonly memoryBytes?: number;
  /** Starts when `close()` is called; ends what is still open. Default 30,000. */
  readonly drainMs?: number;
  /** Gets every event. Default: none are told. */
  readonly observer?: Observer;
}
