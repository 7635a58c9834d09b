import type { Observer } from '../core/events.ts';
import type { Secret } from '../core/secret.ts';
import type { AgentHandler } from './handler.ts';

/** What an agent joins a stream to. `https` adds TLS; the others are spliced alike. */
export type TargetAddress =
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      /** It was said to speak HTTP (`http://`). Joined alike; `doctor` tells where it does not. */
      readonly http?: true;
    }
  | { readonly kind: 'unix'; readonly path: string }
  | {
      readonly kind: 'https';
      readonly host: string;
      readonly port: number;
      /** Whether the target's certificate must be valid for `host`. Default true. */
      readonly verify?: boolean;
      /** PEM of the certificate authorities to trust instead of the system's. */
      readonly ca?: string;
    };

/** One of several targets that share the exchanges of a route. */
export interface WeightedTarget {
  readonly target: TargetAddress;
  /** Its share: 1 to 1,000. Default 1. */
  readonly weight?: number;
}

/** One entry of `targets`: which exchanges it takes, what is changed in them, and where they go (design 6.4). */
export interface RouteOptions {
  /** For messages. Default: its place in the list. */
  readonly name?: string;
  /** Regular expression that the method must match. Default: any method. */
  readonly method?: string;
  /** Regular expression that the path (without the query) must match. Default: any path. */
  readonly path?: string;
  /** One, or a weighted list: of that, what does not accept connections is avoided, and tried again later. */
  readonly target: TargetAddress | readonly WeightedTarget[];
  /** Takes the place of the part that `path` matched; `$1`, `$<name>`, `$&`, `$$`. Default: the path stays as it is. */
  readonly rewrite?: string;
  /** Parameters that are set, or removed (null). Nothing else of the query changes. Default: none. */
  readonly query?: Readonly<Record<string, string | null>>;
  /** `forwarded`: the visitor's Host; `target`: the target's own; anything else is sent as it is. Default `forwarded`. */
  readonly host?: string;
  /** Says the visitor's address to the target in front of all else. Default: not. */
  readonly proxyProtocol?: 1 | 2;
}

/** One domain that an agent serves (design 6.4). */
export interface AgentDomainOptions {
  /** The name claimed: `www.example.com`, `devservice` or `*.example.com`; canonical. */
  readonly name: string;
  /** Needed unless there is a certificate. */
  readonly secret?: Secret;
  /** PEM, the leaf first: shown to servers that take certificates of its authority in the place of a secret. Needs `key`. */
  readonly certificate?: string;
  /** PEM of its private key. */
  readonly key?: Secret;
  /** Shown as Basic instead of Bearer when set: a name in the server's grants. */
  readonly identity?: string;
  /** Servers, `host` or `host:port` (443). Default: the domain itself. Every address of each gets `connections` tunnels. */
  readonly remote?: readonly string[];
  /** Path of the handshake. Default `/.well-known/backdial-agent`. */
  readonly service?: string;
  /** Accept any certificate of the server. Warned about at each start. Default false. */
  readonly insecure?: boolean;
  /** PEM of the certificate authorities to trust for the server, instead of the system's. */
  readonly ca?: string;
  /** `sha256/<base64>` of the server's SubjectPublicKeyInfo: enough without a CA. */
  readonly pin?: string;
  /** One DNS label. Default: the first label of the host name. */
  readonly instance?: string;
  /** Tunnels to each address of each server. Default 2. */
  readonly connections?: number;
  /** Streams at the same time in one tunnel. Default 1,000. */
  readonly concurrency?: number;
  /**
   * What visitors reach: the first that matches. Byte streams of other ways than HTTPS go to the only one, where it has
   * nothing to filter or to change. Default: `target`.
   */
  readonly targets?: readonly RouteOptions[];
  /** Short for `targets` with this one target. One of them is needed, unless there are `ports`. */
  readonly target?: TargetAddress;
  /**
   * TCP ports that the servers are asked to open for this instance (a grant decides); their streams go to the port's entry of
   * `ports`, else to the only target. Told of by `port-opened` and `port-refused`. Default: none.
   */
  readonly claims?: readonly number[];
  /**
   * Serves the domain in this process, without any local port, in the place of `targets`. HTTP of any way in is read by it.
   * Default: the agent's, where the domain has no target.
   */
  readonly handler?: AgentHandler;
  /** What streams for other ports than 80 and 443 are joined to, by port. Default: none. */
  readonly ports?: Readonly<Record<number, TargetAddress>>;
}

/** What an agent is given; {@link resolveAgentOptions} checks it and fills in the defaults. */
export interface AgentOptions {
  readonly domains: readonly AgentDomainOptions[];
  /** Serves all domains that have neither targets nor a handler of their own. Default: none. */
  readonly handler?: AgentHandler;
  /** Starts when a target is dialled; ends when it accepted (and its TLS handshake, if any, is done). Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Starts when a request was sent in full; ends with the response head. 0: none. Default 60,000. */
  readonly readTimeoutMs?: number;
  /** Starts when bytes wait for the target; ends when it takes some. 0: none. Default 20,000. */
  readonly writeTimeoutMs?: number;
  /**
   * Parse HTTP and report every exchange (method, path, status) instead of every stream. Costs CPU; bytes are no longer
   * spliced. Without it HTTP is parsed only where routes or an HTTP/2 target ask for it. Default false.
   */
  readonly exchanges?: boolean;
  /** Environment in which HTTPS_PROXY and NO_PROXY are looked up. Default: none, no proxy. */
  readonly proxyEnvironment?: Readonly<Record<string, string | undefined>>;
  /** What stalled readers may hold in one tunnel, bytes. Default 67,108,864. */
  readonly tunnelMemoryBytes?: number;
  /** What they may hold in all tunnels together, bytes. Default 536,870,912. */
  readonly memoryBytes?: number;
  /** Starts when `close()` is called; ends what is still open. Default 30,000. */
  readonly drainMs?: number;
  /** Gets every event. Default: none are told. */
  readonly observer?: Observer;
}
