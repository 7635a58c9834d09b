import { constants, createHash } from 'node:crypto';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Certificates } from './certificates.ts';

/** The deadline is the front door's, from accept on; this one only must not come before it. */
const HANDSHAKE_TIMEOUT_MS = 2_147_483_647;
/** Policies with client certificates whose servers are kept; another one's are made anew when it is visited. */
const MAX_POLICIES = 1_000;

/** Who is told of handshakes. */
export interface TlsListeners {
  readonly onSecure: (tlsSocket: TLSSocket) => void;
  readonly onClientError: (error: NodeJS.ErrnoException) => void;
}

/**
 * The `tls.Server`s behind the front door, none of which listens: one for each certificate, chosen after the peek, which
 * spares the detour through SNICallback; and one more for each certificate that is shown under a demand for client
 * certificates. They are made at the first visit.
 */
export class TlsServers {
  readonly certificates: Certificates;
  readonly #listeners: TlsListeners;
  /** By the hosts of an entry. */
  readonly #ticketKeys = new Map<string, Buffer>();
  readonly #plain: (Server | undefined)[] = [];
  /** By PEM of the authorities, then by certificate; the policy that was not visited for longest comes first. */
  readonly #mutual = new Map<string, (Server | undefined)[]>();

  /** `previous`: those of the certificates before; sessions of hosts that have an entry here again can be resumed. */
  constructor(certificates: Certificates, listeners: TlsListeners, previous: TlsServers | null = null) {
    this.certificates = certificates;
    this.#listeners = listeners;
    const known = previous?.ticketKeys();
    for (let index = 0; index < certificates.size; index += 1) {
      const hosts = certificates.hostsOf(index);
      const keys = known?.get(hosts);
      if (keys !== undefined) this.#ticketKeys.set(hosts, keys);
    }
  }

  /** The server of an entry of `certificates`, which asks visitors for a certificate of `authorities` (PEM) unless that is null. */
  of(certificate: number, authorities: string | null = null): Server {
    const servers = authorities === null ? this.#plain : this.#mutualServers(authorities);
    const server = servers[certificate] ?? this.#make(certificate, authorities);
    servers[certificate] = server;
    return server;
  }

  /** Those in use, by the hosts of the entry. */
  ticketKeys(): Map<string, Buffer> {
    const keys = new Map(this.#ticketKeys);
    for (const [index, server] of this.#plain.entries()) {
      if (server !== undefined) keys.set(this.certificates.hostsOf(index), server.getTicketKeys());
    }
    return keys;
  }

  #mutualServers(authorities: string): (Server | undefined)[] {
    const servers = this.#mutual.get(authorities) ?? [];
    this.#mutual.delete(authorities);
    this.#mutual.set(authorities, servers);
    const [oldest] = this.#mutual.keys();
    if (this.#mutual.size > MAX_POLICIES && oldest !== undefined) this.#mutual.delete(oldest);
    return servers;
  }

  #make(certificate: number, authorities: string | null): Server {
    const context = this.certificates.contextOptions(certificate);
    const ticketKeys = this.#ticketKeys.get(this.certificates.hostsOf(certificate));
    const server = createServer({
      ...context,
      ...(authorities !== null ? mutualOptions(authorities, context) : ticketKeys === undefined ? {} : { ticketKeys }),
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    server.on('secureConnection', this.#listeners.onSecure);
    server.on('tlsClientError', this.#listeners.onClientError);
    return server;
  }
}

function mutualOptions(authorities: string, { secureOptions = 0 }: TlsOptions): TlsOptions {
  return {
    ca: authorities,
    requestCert: true,
    // A refused handshake would tell strangers that there is something to be refused; HTTP answers them as any unknown name.
    rejectUnauthorized: false,
    // Never resumed: each connection proves its certificate against the authorities of its day, and no session of another
    // policy passes for one of this.
    secureOptions: secureOptions | constants.SSL_OP_NO_TICKET,
    sessionIdContext: createHash('sha256').update(authorities).digest('base64url').slice(0, 32),
  };
}
