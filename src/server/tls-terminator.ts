import { AsyncLocalStorage } from 'node:async_hooks';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { BackdialError, type ErrorCode } from '../core/errors.ts';
import { keepRawSocket, resetDuplex } from '../net/reset.ts';
import { chainOf } from './agent-certificate.ts';
import type { Certificates } from './certificates.ts';
import { clientSubject } from './client-certificate.ts';
import { ANY_AUTHORITY, TlsServers } from './tls-servers.ts';
import type { VisitorConnection } from './visitor.ts';

/** A connection whose ClientHello was read, and that is to be answered under one of our certificates. */
export interface Handshake {
  /** Paused, the hello unread in it. */
  readonly raw: Socket;
  /** Canonical SNI; null without one. */
  readonly name: string | null;
  readonly remote: string;
  /** On the clock of `performance.now()`. */
  readonly acceptedAt: number;
  /** Key of the listener. */
  readonly door: string;
  /** Those that it presents. */
  readonly certificates: Certificates;
  /** The entry of them that answers. */
  readonly certificate: number;
  /** PEM of the authorities whose certificate the visitor is asked for; null: it is asked for none. */
  readonly clientAuthorities: string | null;
  /** Where the visitor is not asked for those: whether it is asked for any certificate, which an agent may have. */
  readonly asksAgents: boolean;
}

/** Why a handshake came to nothing. */
export interface HandshakeFailure {
  readonly reason: ErrorCode;
  readonly detail: string;
}

export interface TlsTerminatorOptions {
  /** Gets each connection after its handshake; the socket has an `error` listener. */
  onVisitor(tlsSocket: TLSSocket, connection: VisitorConnection): void;
  /** Told once of each connection that closed before the end of its handshake. */
  onFailure(handshake: Handshake, failure: HandshakeFailure): void;
}

/** A handshake that runs. */
interface Running {
  readonly handshake: Handshake;
  deadline: NodeJS.Timeout | undefined;
  failure: HandshakeFailure | null;
  over: boolean;
}

/** Of a handshake where `deadlineMs` is 0. */
const DEFAULT_HANDSHAKE_TIMEOUT_MS = 120_000;

/** Ends the TLS of visitors and agents at front doors that present the same: from the peeked hello to a socket that is in the clear on this side. */
export class TlsTerminator {
  readonly #options: TlsTerminatorOptions;
  /** Carries a handshake from the raw socket to the events of the TLS socket that `tls.Server` makes of it. */
  readonly #running = new AsyncLocalStorage<Running>();
  /** Of the certificates that were in force at the last connection. */
  #tls: TlsServers | null = null;

  constructor(options: TlsTerminatorOptions) {
    this.#options = options;
  }

  /** Takes the socket over. `deadlineMs` starts with accept, ends with the handshake; 0: 120 s. */
  start(handshake: Handshake, deadlineMs: number): void {
    const { raw, acceptedAt, certificates, certificate, clientAuthorities, asksAgents } = handshake;
    const timeoutMs = deadlineMs || DEFAULT_HANDSHAKE_TIMEOUT_MS;
    const running: Running = { handshake, deadline: undefined, failure: null, over: false };
    const left = Math.max(1, timeoutMs - (performance.now() - acceptedAt));
    running.deadline = setTimeout(() => {
      running.failure = { reason: 'hello-timeout', detail: `no TLS handshake within ${timeoutMs} ms` };
      raw.destroy();
    }, left);
    running.deadline.unref();
    raw.once('close', () => this.#rawOnClose(running));
    // A TLSSocket copies it; with true, a FIN right after the hello would leave the connection open for ever.
    raw.allowHalfOpen = false;
    this.#running.run(running, () =>
      this.#servers(certificates)
        .of(certificate, clientAuthorities ?? (asksAgents ? ANY_AUTHORITY : null))
        .emit('connection', raw),
    );
  }

  #servers(certificates: Certificates): TlsServers {
    if (this.#tls?.certificates !== certificates) {
      const onSecure = (tlsSocket: TLSSocket) => this.#tlsServerOnSecure(tlsSocket);
      const onClientError = (error: NodeJS.ErrnoException) => this.#tlsServerOnClientError(error);
      this.#tls = new TlsServers(certificates, { onSecure, onClientError }, this.#tls);
    }
    return this.#tls;
  }

  #tlsServerOnSecure(tlsSocket: TLSSocket): void {
    tlsSocket.on('error', tlsSocketOnError);
    const running = this.#running.getStore();
    if (running === undefined || running.over) {
      tlsSocket.destroy();
      return;
    }
    clearTimeout(running.deadline);
    running.over = true;
    const { raw, name, remote, acceptedAt, door, clientAuthorities } = running.handshake;
    keepRawSocket(tlsSocket, raw);
    tlsSocket.on('end', tlsSocketOnEnd);
    const visitor = { raw, name, remote, acceptedAt, door, clientAuthorities, clientSubject: null };
    const proven =
      clientAuthorities === null ? {} : { clientSubject: clientSubject(tlsSocket), clientChain: chainOf(tlsSocket) };
    this.#options.onVisitor(tlsSocket, { ...visitor, ...proven });
  }

  #tlsServerOnClientError(error: NodeJS.ErrnoException): void {
    const running = this.#running.getStore();
    if (running !== undefined) running.failure ??= { reason: 'visitor-tls', detail: error.code ?? error.message };
  }

  #rawOnClose(running: Running): void {
    clearTimeout(running.deadline);
    if (running.over) return;
    running.over = true;
    const gone = { reason: 'visitor-tls', detail: 'the visitor went away during the handshake' } as const;
    this.#options.onFailure(running.handshake, running.failure ?? gone);
  }
}

/** What an error means is told by `close`; without a listener a reset between two owners would end the process. */
function tlsSocketOnError(): void {}

/**
 * A visitor's reset that meets the session tickets of TLS 1.3, which Node writes after the handshake, is told of to nobody: it reads as an
 * end, and no later write ever calls back. The kernel knows no peer then. (A Unix socket has no addresses at all.)
 */
function tlsSocketOnEnd(this: TLSSocket): void {
  if (this.destroyed || this.remoteAddress !== undefined || this.localAddress === undefined) return;
  resetDuplex(this, new BackdialError('visitor-reset'));
}
