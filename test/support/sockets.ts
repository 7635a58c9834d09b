import { once } from 'node:events';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { testAuthority, testCertificate } from './certificates.ts';
import { within } from './within.ts';

/** A connection and the socket below it (the same where there is no TLS): only the latter can be reset. */
export interface Wire {
  readonly stream: net.Socket;
  readonly raw: net.Socket;
}

export interface ConnectOptions {
  readonly tls?: boolean;
  /** Default `www.example.com`. */
  readonly servername?: string;
  readonly alpn?: readonly string[];
  /** Default `127.0.0.1`. */
  readonly host?: string;
}

/** Connects to a port of the loopback address; half-open is allowed. An `error` listener is attached to both sockets. */
export async function connectWire(port: number, options: ConnectOptions = {}): Promise<Wire> {
  const raw = net.connect({ port, host: options.host ?? '127.0.0.1', allowHalfOpen: true, noDelay: true });
  raw.on('error', () => {});
  if (options.tls !== true) {
    await within('connect', once(raw, 'connect'));
    return { stream: raw, raw };
  }
  const stream = tls.connect({
    socket: raw,
    servername: options.servername ?? 'www.example.com',
    ca: testAuthority().cert,
    ...(options.alpn === undefined ? {} : { ALPNProtocols: [...options.alpn] }),
  });
  stream.on('error', () => {});
  // A reset that meets the server's session tickets is lost: the kernel reports it to the write of the tickets, Node drops
  // that error, and the read behind it says EOF. So a handshake counts as done when the tickets have come.
  await within('TLS handshake and session tickets', once(stream, 'session'));
  return { stream, raw };
}

/** The server's side of an accepted socket: as it is, or under TLS with {@link testCertificate}. */
export function acceptWire(raw: net.Socket, options: { tls?: boolean; alpn?: readonly string[] } = {}): Wire {
  raw.on('error', () => {});
  if (options.tls !== true) return { stream: raw, raw };
  const stream = new tls.TLSSocket(raw, {
    isServer: true,
    secureContext: tls.createSecureContext(testCertificate()),
    ...(options.alpn === undefined ? {} : { ALPNProtocols: [...options.alpn] }),
  });
  stream.on('error', () => {});
  return { stream, raw };
}
