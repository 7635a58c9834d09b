import { once } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import * as net from 'node:net';
import { type SeenRequest, seenOf } from './access.ts';
import { testCertificate } from './certificates.ts';
import { closerOf } from './listen-on.ts';

/** What a {@link ToldTarget} answers, as JSON. */
export interface Told {
  readonly target: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** Counted from 1: which of its connections the request came on. */
  readonly connection: number;
  /** The address in the PROXY header of that connection; null without one. */
  readonly proxied: string | null;
  readonly forwardedFor: string[];
}

/** An HTTP target that tells what it was asked, under a name of its own. */
export interface ToldTarget {
  readonly port: number;
  readonly seen: readonly SeenRequest[];
  /** Connections that it accepted so far. */
  readonly connections: number;
  close(): Promise<void>;
}

export interface ToldTargetOptions {
  /** Certificate and key, PEM; true: those of the tests. Without, it speaks HTTP in the clear. */
  readonly tls?: boolean | { readonly cert: string; readonly key: string };
  /** A Unix socket instead of a port. */
  readonly path?: string;
  /** Listens on this port. Default: a free one. */
  readonly port?: number;
  /** Each connection begins with a PROXY header, which this reads: the address, and how many bytes it took. */
  readonly readProxy?: (bytes: Buffer) => { readonly address: string; readonly length: number };
}

export async function startToldTarget(name: string, options: ToldTargetOptions = {}): Promise<ToldTarget> {
  const seen: SeenRequest[] = [];
  const known = new WeakMap<net.Socket, { connection: number; proxied: string | null }>();
  let connections = 0;
  const listener: http.RequestListener = (request, response) => {
    const one = seenOf(request);
    seen.push(one);
    const socket = known.get(request.socket) ?? { connection: 0, proxied: null };
    const { method, path, host } = one;
    const told: Told = { target: name, method, path, host, ...socket, forwardedFor: one.values('x-forwarded-for') };
    request.resume();
    request.once('end', () => response.end(JSON.stringify(told)));
  };
  const { cert, key } = typeof options.tls === 'object' ? options.tls : testCertificate();
  const server = options.tls ? https.createServer({ cert, key }, listener) : http.createServer(listener);
  server.on(options.tls ? 'secureConnection' : 'connection', (socket: net.Socket) => {
    if (known.has(socket)) return;
    connections += 1;
    known.set(socket, { connection: connections, proxied: null });
  });
  const outer = options.readProxy === undefined ? server : net.createServer();
  outer.on('connection', (socket: net.Socket) => {
    if (options.readProxy === undefined) return;
    connections += 1;
    const connection = connections;
    socket.once('data', (bytes: Buffer) => {
      socket.pause();
      const { address, length } = options.readProxy?.(bytes) ?? { address: '', length: 0 };
      known.set(socket, { connection, proxied: address });
      socket.unshift(bytes.subarray(length));
      server.emit('connection', socket);
    });
    socket.on('error', () => {});
  });
  const close = closerOf(outer);
  const { path, port: wanted = 0 } = options;
  if (path === undefined) outer.listen(wanted, '127.0.0.1');
  else outer.listen(path);
  await once(outer, 'listening');
  const port = path === undefined ? (outer.address() as net.AddressInfo).port : 0;
  return {
    port,
    seen,
    get connections() {
      return connections;
    },
    close,
  };
}
