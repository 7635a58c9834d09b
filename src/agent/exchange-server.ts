import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BackdialError } from '../core/errors.ts';
import { Http1Exchange, type Http1ExchangeOptions } from '../net/http1-exchange.ts';
import { StreamSocket } from '../net/stream-socket.ts';
import { ParsedStream, type ParsedStreamOptions } from './parsed-stream.ts';

/** Above what a server lets through (64 kB unless it is told otherwise) and what it adds. */
const MAX_HEAD_BYTES = 1024 * 1024;
/** Starts when this side ended a stream; ends the server's chance to end its own. */
const ENDING_MS = 2_000;

/**
 * Reads streams as HTTP/1.1, so that each exchange can be routed, changed and told of: a node:http server that never listens
 * and is handed streams.
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
  async serve(given: ParsedStreamOptions): Promise<void> {
    const stream = new StreamSocket(given.stream);
    const parsed = new ParsedStream({ ...given, stream });
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
    else void stream.serve(request, new Http1Exchange(request, response, KEPT), false);
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
    if (response === null) {
      socket.destroy(new BackdialError('request-invalid', 'an upgrade came before the answer'));
      return;
    }
    void stream.serve(request, new Http1Exchange(request, response, UPGRADABLE), true);
  };
}

/** What bytes wait for here, the server's visitor takes, and the server watches that one. */
const KEPT: Http1ExchangeOptions = { writeMs: 0, keepAliveMs: () => 0, upgradable: false, closing: () => false };
/** A stream that node:http has let go of ends with its answer. */
const UPGRADABLE: Http1ExchangeOptions = { ...KEPT, upgradable: true, closing: () => true };

/** A request with a body stays HTTP (RFC 9110, section 7.8). */
function mayUpgrade({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0';
}

/** A response on a stream that node:http has let go of; the stream ends with it. Null where an earlier one still has the stream. */
function responseOn(request: IncomingMessage, socket: Socket): ServerResponse | null {
  const response = new ServerResponse(request);
  try {
    response.assignSocket(socket);
  } catch {
    return null;
  }
  response.once('finish', () => {
    response.detachSocket(socket);
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), ENDING_MS);
    socket.once('close', () => clearTimeout(timer));
  });
  return response;
}
