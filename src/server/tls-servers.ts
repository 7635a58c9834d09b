import { constants, createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Certificates } from './certificates.ts';

/** TLS policies with client certificates whose servers are kept; the next one makes them anew. */
const MAX_POLICIES = 1_000;

export interface TlsServersOptions {
  readonly certificates: Certificates;
  readonly handshakeTimeoutMs: number;
  readonly onSecure: (tlsSocket: TLSSocket) => void;
  readonly onClientError: (error: NodeJS.ErrnoException) => void;
}

/**
 * The `tls.Server`s behind the front door, none of which listens: one for each certificate, chosen after the peek, which
 * spares the detour through SNICallback; and one more for each certificate that is served under a demand for client
 * certificates.
 */
export class TlsServers {
  readonly #options: TlsServersOptions;
  readonly #plain: readonly Server[];
  /** By PEM of the authorities, then by certificate; the least recently used policy first. */
  readonly #mutual = new Map<string, Map<number, Server>>();

  constructor(options: TlsServersOptions) {
    this.#options = options;
    this.#plain = Array.from({ length: options.certificates.size }, (_, index) => this.#make(index, null));
  }

  /** Begins the handshake on a raw socket, with an entry of `certificates`; asks for a certificate of `authorities` (PEM). */
  accept(raw: Socket, certificate: number, authorities: string | null): void {
    const server = authorities === null ? this.#plain[certificate] : this.#mutualServer(certificate, authorities);
    server?.emit('connection', raw);
  }

  #mutualServer(certificate: number, authorities: string): Server {
    const servers = this.#mutual.get(authorities) ?? new Map<number, Server>();
    this.#mutual.delete(authorities);
    this.#mutual.set(authorities, servers);
    const [oldest] = this.#mutual.keys();
    if (this.#mutual.size > MAX_POLICIES && oldest !== undefined) this.#mutual.delete(oldest);
    let server = servers.get(certificate);
    if (server === undefined) {
      server = this.#make(certificate, authorities);
      servers.set(certificate, server);
    }
    return server;
  }

  #make(certificate: number, authorities: string | null): Server {
    const { certificates, handshakeTimeoutMs, onSecure, onClientError } = this.#options;
    const context = certificates.contextOptions(certificate);
    const server = createServer({
      ...context,
      ...(authorities === null ? {} : mutualOptions(authorities, context.secureOptions ?? 0)),
      ALPNProtocols: ['h2', 'http/1.1'],
      // The deadline is the front door's, from accept on; this one only must not come before it.
      handshakeTimeout: handshakeTimeoutMs,
    });
    server.on('secureConnection', onSecure);
    server.on('tlsClientError', onClientError);
    return server;
  }
}

function mutualOptions(authorities: string, secureOptions: number) {
  return {
    ca: authorities,
    requestCert: true,
    // A refused handshake would tell strangers that there is something to be refused; HTTP answers them as any unknown name.
    rejectUnauthorized: false,
    // Never resumed: each connection proves its certificate against the authorities of today, and no session of another
    // policy can pass for one of this.
    secureOptions: secureOptions | constants.SSL_OP_NO_TICKET,
    sessionIdContext: createHash('sha256').update(authorities).digest('base64url').slice(0, 32),
  };
}
