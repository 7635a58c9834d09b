import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';

/** What the front door knows of a TLS connection before its first byte of HTTP. */
export interface VisitorConnection {
  /** The socket below TLS: the only one that can be reset (`tlsSocket.resetAndDestroy()` throws). */
  readonly raw: Socket;
  /** SNI in canonical form, as peeked from the ClientHello (resumption does not change it); null without SNI. */
  readonly name: string | null;
  /** The visitor's address, `ip:port`. */
  readonly remote: string;
  /** When it was accepted, on the clock of `performance.now()`: the first request has its deadline from there. */
  readonly acceptedAt: number;
  /** The front door that it came in by: its listener's key; empty for another listener. */
  readonly door: string;
  /** PEM of the authorities whose certificate the visitor was asked for; null: it was asked for none. */
  readonly clientAuthorities: string | null;
  /** Subject of the certificate that the visitor proved (RFC 2253, ASCII); null without a valid one. */
  readonly clientSubject: string | null;
  /** What the visitor showed where it was asked, the leaf first. Default: nothing. */
  readonly clientChain?: readonly X509Certificate[];
}

/** What is left of a deadline of `deadlineMs` that began with accept: at least 1 ms. 0 (no deadline) stays 0. */
export function timeLeft({ acceptedAt }: Pick<VisitorConnection, 'acceptedAt'>, deadlineMs: number): number {
  return deadlineMs === 0 ? 0 : Math.max(1, Math.ceil(acceptedAt + deadlineMs - performance.now()));
}
