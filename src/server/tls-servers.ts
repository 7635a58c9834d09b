import { constants, createHash } from 'node:crypto';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import { LONGEST_TIMER_MS } from '../core/in-time.ts';
import type { Certificates } from './certificates.ts';

/** The deadline is the front door's, from accept on; this one only must not come before it. */
const HANDSHAKE_TIMEOUT_MS = LONGEST_TIMER_MS;
/** Policies with client certificates whose servers are kept; another one's are made anew when it is visited. */
const MAX_POLICIES = 1_000;

/** In the place of authorities: a certificate is asked for, and whose it is, is judged later. No authority is named to strangers. */
export const ANY_AUTHORITY = '';

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
  /** By the hosts of an entry, and whether a certificate is asked for: a session passes from none to the other. */
  readonly #ticketKeys = new Map<string, Buffer>();
  readonly #plain: (Server | undefined)[] = [];
  /** Of {@link ANY_AUTHORITY}. */
  readonly #asking: (Server | undefined)[] = [];
  /** By PEM of the authorities, then by certificate; the policy that was not visited for longest comes first. */
  readonly #mutual = new Map<string, (Server | undefined)[]>();

  /** `previous`: those of the certificates before; sessions of hosts that have an entry here again can be resumed. */
  constructor(certificates: Certificates, listeners: TlsListeners, previous: TlsServers | null = null) {
    this.certificates = certificates;
    this.#listeners = listeners;
    const known = previous?.ticketKeys();
    for (let index = 0; index < certificates.size; index += 1) {
      for (const authorities of [null, ANY_AUTHORITY]) {
        const name = ticketName(certificates.hostsOf(index), authorities);
        const keys = known?.get(name);
        if (keys !== undefined) this.#ticketKeys.set(name, keys);
      }
    }
  }

  /** The server of an entry of `certificates`, which asks visitors for a certificate of `authorities` (PEM) unless that is null. */
  of(certificate: number, authorities: string | null = null): Server {
    const servers = this.#serversFor(authorities);
    const server = servers[certificate] ?? this.#make(certificate, authorities);
    servers[certificate] = server;
    return server;
  }

  /** Those in use, by the hosts of the entry. */
  ticketKeys(): Map<string, Buffer> {
    const keys = new Map(this.#ticketKeys);
    for (const [authorities, servers] of [[null, this.#plain] as const, [ANY_AUTHORITY, this.#asking] as const]) {
      for (const [index, server] of servers.entries()) {
        if (server !== undefined)
          keys.set(ticketName(this.certificates.hostsOf(index), authorities), server.getTicketKeys());
      }
    }
    return keys;
  }

  #serversFor(authorities: string | null): (Server | undefined)[] {
    if (authorities === null) return this.#plain;
    return authorities === ANY_AUTHORITY ? this.#asking : this.#mutualServers(authorities);
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
    const hosts = this.certificates.hostsOf(certificate);
    const context = this.certificates.contextOptions(certificate);
    const isMutual = authorities !== null && authorities !== ANY_AUTHORITY;
    const ticketKeys = isMutual ? undefined : this.#ticketKeys.get(ticketName(hosts, authorities));
    const server = createServer({
      ...context,
      ...(ticketKeys === undefined ? {} : { ticketKeys }),
      ...(isMutual ? mutualOptions(authorities, context) : authorities === null ? {} : ASKING),
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    server.on('secureConnection', this.#listeners.onSecure);
    server.on('tlsClientError', this.#listeners.onClientError);
    return server;
  }
}

/** What a session was proven with is judged anew at each handshake, so that it may be resumed. */
const ASKING: TlsOptions = { ca: [], requestCert: true, rejectUnauthorized: false };

function ticketName(hosts: string, authorities: string | null): string {
  return authorities === null ? hosts : `${hosts}\0asking`;
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
