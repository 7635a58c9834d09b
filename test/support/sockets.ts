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
  readonly address?: string;
  /** Whether this side may go on sending after the other has ended. Default true; an HTTP/2 session needs false. */
  readonly halfOpen?: boolean;
}

/** Connects to a port of the loopback address; An `error` listener is attached to both sockets. */
export async function connectWire(port: number, options: ConnectOptions = {}): Promise<Wire> {
  const { address = '127.0.0.1', halfOpen = true } = options;
  const raw = net.connect({ port, host: address, allowHalfOpen: halfOpen, noDelay: true });
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

export interface AcceptOptions {
  /** Serve {@link testCertificate} over TLS. Default false. */
  readonly tls?: boolean;
  readonly alpn?: readonly string[];
}

/** What to do with each accepted socket: hands it on as it is, or under TLS once the handshake is done. */
export function wireAcceptor(options: AcceptOptions, onWire: (wire: Wire) => void): (raw: net.Socket) => void {
  const raws = new Map<number | undefined, net.Socket>();
  const { cert, key } = testCertificate();
  const server = tls.createServer({
    cert,
    key,
    ...(options.alpn === undefined ? {} : { ALPNProtocols: [...options.alpn] }),
  });
  server.on('tlsClientError', (_error, stream) => stream.destroy());
  server.on('secureConnection', (stream) => {
    stream.on('error', () => {});
    // A TLSSocket does not tell which socket is below it; they share the peer's port.
    const raw = raws.get(stream.remotePort);
    if (raw === undefined) stream.destroy();
    else onWire({ stream, raw });
  });
  return (raw) => {
    raw.on('error', () => {});
    if (options.tls !== true) {
      onWire({ stream: raw, raw });
      return;
    }
    const { remotePort } = raw;
    if (remotePort === undefined) {
      // A Unix socket: nothing tells it from another one.
      const stream = new tls.TLSSocket(raw, { isServer: true, cert, key });
      stream.on('error', () => {});
      stream.once('secure', () => onWire({ stream, raw }));
      return;
    }
    raws.set(remotePort, raw);
    raw.once('close', () => raws.delete(remotePort));
    // Not a TLSSocket of our own: an HTTP/2 session over one that no tls.Server made never reads.
    server.emit('connection', raw);
  };
}
