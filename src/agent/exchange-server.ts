import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Http1Exchange } from '../net/http1-exchange.ts';
import { Upstream } from '../net/upstream.ts';
import { STREAM_RULES } from './exchange-head.ts';
import { ParsedStream, type ParsedStreamOptions } from './parsed-stream.ts';
import { StreamSocket } from './stream-socket.ts';

/** Above what a server lets through (64 kB unless it is told otherwise) and what it adds. */
const MAX_HEAD_BYTES = 1024 * 1024;
/** Starts when this side ended a stream; ends the server's chance to end its own. */
const ENDING_MS = 2_000;

/** A stream that was accepted, and what it is joined to. */
export type ExchangeStream = Omit<ParsedStreamOptions, 'upstream'> & { readonly target: Duplex };

/**
 * Reads streams as HTTP/1.1, so that each exchange can be told of: a node:http server that never listens and is handed
 * streams. A stream has one connection to the target, kept alive as long as the stream is: the server's pool of streams is
 * the pool of connections. So nothing of one visitor's can reach another, here as on the spliced path.
 */
export class ExchangeServer {
  readonly #server: Server;
  readonly #streams = new WeakMap<Duplex, ParsedStream>();

  constructor() {
    const server = createServer({
      maxHeaderSize: MAX_HEAD_BYTES,
      // The far end decides how long a stream is kept, and watches its visitors.
      keepAliveTimeout: 0,
      headersTimeout: 0,
      requestTimeout: 0,
      requireHostHeader: false,
      shouldUpgradeCallback: mayUpgrade,
    });
    server.maxHeadersCount = 0;
    server.timeout = 0;
    server.on('request', this.#serverOnRequest);
    server.on('checkContinue', this.#serverOnRequest);
    server.on('checkExpectation', this.#serverOnRequest);
    server.on('upgrade', this.#serverOnUpgrade);
    server.on('clientError', (error: Error, stream: Duplex) => stream.destroy(error));
    this.#server = server;
  }

  /** Serves the exchanges of one stream; resolves when the stream is over and its last exchange was told of. */
  async serve({ target, ...given }: ExchangeStream): Promise<void> {
    const stream = new StreamSocket(given.stream);
    const parsed = new ParsedStream({ ...given, stream, upstream: new Upstream(target, STREAM_RULES) });
    this.#streams.set(stream, parsed);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    if (given.stream.destroyed) stream.destroy();
    else this.#server.emit('connection', stream);
    await closed;
    await parsed.over;
  }

  readonly #serverOnRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const stream = this.#streams.get(request.socket);
    if (stream === undefined) request.socket.destroy();
    else void stream.serve(request, new Http1Exchange(request, response, stream.exchangeOptions(false)), false);
  };

  readonly #serverOnUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const stream = this.#streams.get(socket);
    if (stream === undefined) {
      socket.destroy();
      return;
    }
    // Not before the target's 101 is it read by anyone.
    if (head.length > 0) socket.unshift(head);
    const response = responseOn(request, socket as Socket);
    void stream.serve(request, new Http1Exchange(request, response, stream.exchangeOptions(true)), true);
  };
}

/** A request with a body stays HTTP (RFC 9110, section 7.8). */
function mayUpgrade({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0';
}

/** A response on a stream that node:http has let go of; the stream ends with it. */
function responseOn(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.assignSocket(socket);
  response.once('finish', () => {
    response.detachSocket(socket);
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), ENDING_MS);
    socket.once('close', () => clearTimeout(timer));
  });
  return response;
}
