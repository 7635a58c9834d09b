import type { Socket } from 'node:net';

/** What the front door knows of a TLS connection before its first byte of HTTP. */
export interface VisitorConnection {
  /** The socket below TLS: the only one that can be reset (`tlsSocket.resetAndDestroy()` throws). */
  readonly raw: Socket;
  /** SNI in canonical form, as peeked from the ClientHello (resumption does not change it); null without SNI. */
  readonly name: string | null;
  /** The visitor's address, `ip:port`. */
  readonly remote: string;
  /** PEM of the authorities whose certificate the visitor was asked for; null: it was asked for none. */
  readonly clientAuthorities: string | null;
  /** Subject of the certificate that the visitor proved (RFC 2253, ASCII); null without a valid one. */
  readonly clientSubject: string | null;
}
