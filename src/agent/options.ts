import type { Observer } from '../core/events.ts';
import type { Secret } from '../core/secret.ts';

/** What an agent joins a stream to. `https` adds TLS; the others are spliced alike. */
export type TargetAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
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

/** One domain that an agent serves (design 6.4). */
export interface AgentDomainOptions {
  /** The name claimed: `www.example.com`, `devservice` or `*.example.com`; canonical. */
  readonly name: string;
  readonly secret: Secret;
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
  /** What streams without a port, or with 80 or 443, are joined to. */
  readonly target: TargetAddress;
}

/** What an agent is given; {@link resolveAgentOptions} checks it and fills in the defaults. */
export interface AgentOptions {
  readonly domains: readonly AgentDomainOptions[];
  /** Starts when a target is dialled; ends when it accepted (and its TLS handshake, if any, is done). Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Starts when a request was sent in full; ends with the response head. 0: none. Default 60,000. */
  readonly readTimeoutMs?: number;
  /** Starts when bytes wait for the target; ends when it takes some. 0: none. Default 20,000. */
  readonly writeTimeoutMs?: number;
  /**
   * Parse HTTP and report every exchange (method, path, status) instead of every stream. Costs CPU; bytes are no longer
   * spliced. Domains for which it is false are never parsed. Default false.
   */
  readonly exchanges?: boolean;
  /** Environment in which HTTPS_PROXY and NO_PROXY are looked up. Default: none, no proxy. */
  readonly proxyEnvironment?: Readonly<Record<string, string | undefined>>;
  /** What stalled readers may hold in one tunnel, bytes. Default 67,108,864. */
  readonly tunnelMemoryBytes?: number;
  /** Starts when `close()` is called; ends what is still open. Default 30,000. */
  readonly drainMs?: number;
  /** Gets every event. Default: none are told. */
  readonly observer?: Observer;
}
