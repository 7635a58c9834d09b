import * as http from 'node:http';
import * as http2 from 'node:http2';
import * as net from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { Inbox } from './inbox.ts';
import { closerOf, listenOn } from './listen-on.ts';
import { type Wire, wireAcceptor } from './sockets.ts';
import { type Ending, watchMessage } from './verdict.ts';
import { within } from './within.ts';

/** How the length of a body is told: `Transfer-Encoding: chunked`, `Content-Length`, or by the end of the connection. */
export type Framing = 'chunked' | 'length' | 'close';
export type HttpVersion = 'HTTP/1.1' | 'HTTP/2';

interface ExchangeParts {
  readonly method: string;
  readonly path: string;
  readonly request: Readable;
  readonly response: Writable;
  /** Sends a head; what the body is to be written on. */
  readonly respond: (framing: Framing, length: number) => Writable;
  readonly wire: Wire;
}

/** One request as it reached the target, and the means to answer it well or badly. */
export class Exchange extends Inbox {
  readonly method: string;
  readonly path: string;
  /** How the request ended: `clean` only when all of its body came. */
  readonly requestEnding: Promise<Ending>;
  /** Resolves when what would carry the answer is gone. */
  readonly gone: Promise<void>;
  readonly #parts: ExchangeParts;
  #body: Writable;

  constructor(parts: ExchangeParts) {
    super(parts.request);
    this.method = parts.method;
    this.path = parts.path;
    this.requestEnding = watchMessage(parts.request);
    parts.response.on('error', () => {});
    this.gone = new Promise((resolve) => parts.response.once('close', () => resolve()));
    this.#parts = parts;
    this.#body = parts.response;
  }

  /** Sends the head of a 200; it promises `length` bytes where the framing is `length`. */
  respond(framing: Framing, length: number): void {
    this.#body = this.#parts.respond(framing, length);
  }

  /** Sends a part of the body; resolves when the kernel has it. */
  send(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#body.write(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Completes the answer. */
  finish(): void {
    this.#body.end();
  }

  /** FIN of the connection, whatever the messages on it still owe. */
  fin(): void {
    this.#parts.wire.stream.end();
  }

  /** RST of the connection. */
  reset(): void {
    this.#parts.wire.raw.resetAndDestroy();
  }
}

/** An HTTP server whose every exchange is in the hands of the test. */
export interface HttpTarget {
  readonly port: number;
  /** The first exchange, past or to come, for a path that nobody claimed yet. */
  next(path: string): Promise<Exchange>;
  close(): Promise<void>;
  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface HttpTargetOptions {
  readonly tls?: boolean;
  /** Default HTTP/1.1; HTTP/2 in the clear is spoken with prior knowledge. */
  readonly version?: HttpVersion;
}

export async function startHttpTarget(options: HttpTargetOptions = {}): Promise<HttpTarget> {
  const unclaimed = new Set<Exchange>();
  const waiting = new Map<string, (exchange: Exchange) => void>();
  const wires = new Map<net.Socket, Wire>();
  const take = (exchange: Exchange) => {
    const claim = waiting.get(exchange.path);
    waiting.delete(exchange.path);
    if (claim === undefined) unclaimed.add(exchange);
    else claim(exchange);
  };
  const version = options.version ?? 'HTTP/1.1';
  const protocol = version === 'HTTP/2' ? serveHttp2(wires, take) : serveHttp1(wires, take);
  const alpn = [version === 'HTTP/2' ? 'h2' : 'http/1.1'];
  const accept = wireAcceptor({ ...options, alpn }, (wire) => {
    wires.set(wire.stream, wire);
    wire.raw.once('close', () => wires.delete(wire.stream));
    protocol.emit('connection', wire.stream);
  });
  const server = net.createServer({ allowHalfOpen: version === 'HTTP/1.1', noDelay: true }, accept);
  const close = closerOf(server);
  const port = await listenOn(server);
  return {
    port,
    next(path) {
      for (const exchange of unclaimed) {
        if (exchange.path === path && unclaimed.delete(exchange)) return Promise.resolve(exchange);
      }
      return within(`a request for ${path}`, new Promise<Exchange>((resolve) => waiting.set(path, resolve)));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

type Wires = ReadonlyMap<net.Socket, Wire>;

function serveHttp1(wires: Wires, take: (exchange: Exchange) => void): http.Server {
  const server = http.createServer({ keepAliveTimeout: 0, requestTimeout: 0 });
  // A visitor that half-closes still waits for its answer; Node drops that unless told otherwise.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on('clientError', (_error, socket) => socket.destroy());
  server.on('request', (request, response) => {
    const wire = wires.get(request.socket);
    if (wire === undefined) throw new Error('a request on a connection that was not accepted');
    const respond = (framing: Framing, length: number) => {
      if (framing === 'close') {
        // By hand, for Node's own server closes over unread bytes (a visitor's close_notify), which is a reset.
        wire.stream.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
        return wire.stream;
      }
      response.writeHead(200, framing === 'length' ? { 'content-length': length } : {}).flushHeaders();
      return response;
    };
    take(new Exchange({ method: request.method ?? '', path: request.url ?? '', request, response, respond, wire }));
  });
  return server;
}

function serveHttp2(wires: Wires, take: (exchange: Exchange) => void): http2.Http2Server {
  const server = http2.createServer();
  server.on('sessionError', () => {});
  server.on('session', (session) => {
    // `session.socket` is a proxy, never the key itself; its peer address is what both share.
    const wire = [...wires.values()].find(({ raw }) => raw.remotePort === session.socket.remotePort);
    session.on('stream', (stream, headers) => {
      if (wire === undefined) throw new Error('a session on a connection that was not accepted');
      const respond = (framing: Framing, length: number) => {
        stream.respond({ ':status': 200, ...(framing === 'length' ? { 'content-length': length } : {}) });
        return stream;
      };
      const [method, path] = [String(headers[':method']), String(headers[':path'])];
      take(new Exchange({ method, path, request: stream, response: stream, respond, wire }));
    });
  });
  return server;
}
