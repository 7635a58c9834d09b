import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { BackdialError } from '../core/errors.ts';
import type { Answer } from '../net/error-answer.ts';
import { MAX_HEADER_LINES } from '../net/head-check.ts';
import { Http1Exchange } from '../net/http1-exchange.ts';
import { resetDuplex } from '../net/reset.ts';
import { errorAnswer, writeAnswer } from './answers.ts';
import type { ExchangeRouter } from './exchange-router.ts';
import { http1Arrival, lingerThenDestroy, manualResponse } from './http1-arrival.ts';
import { Http1Connection } from './http1-connection.ts';
import { http1ErrorCode, lateHead } from './http1-errors.ts';
import { isNewcomer } from './last-call.ts';
import type { ResolvedServerOptions } from './resolve-options.ts';
import { isHandshake, type PortRequest, portRequestOf } from './service-requests.ts';
import { type Arrival, recordUnread } from './visit.ts';
import type { VisitorConnection } from './visitor.ts';

/** Finer than any deadline that it serves; it walks over all connections. */
const CHECK_INTERVAL_MS = 1_000;

/** Takes an agent's handshake. False: refused, and told to the observer; this side answers (design 6.5). */
export type ServiceHandler = (
  request: IncomingMessage,
  socket: TLSSocket,
  head: Buffer,
  connection: VisitorConnection,
) => Promise<boolean>;

/** Answers an agent that asks for a port. Null: it did not prove that it may; the answer is that of any other path. */
export type PortHandler = (
  wanted: PortRequest,
  request: IncomingMessage,
  connection: VisitorConnection,
) => Promise<Answer | null>;

export interface Http1VisitorsOptions {
  readonly options: ResolvedServerOptions;
  readonly router: Pick<ExchangeRouter, 'serve' | 'decline'>;
  readonly onService: ServiceHandler;
  readonly onPort: PortHandler;
  /** The connection is no visitor's any more: it closed, or an agent's tunnel has it. */
  readonly onGone: (connection: VisitorConnection) => void;
}

/** Visitors that speak HTTP/1: a node:http server that never listens and is handed TLS sockets. */
export class Http1Visitors {
  readonly #given: Http1VisitorsOptions;
  readonly #server: Server;
  readonly #connections = new Map<Socket, Http1Connection>();
  /** Requests whose Upgrade is ignored. */
  readonly #declined = new WeakSet<IncomingMessage>();
  #stopped = false;
  #draining = false;

  constructor(given: Http1VisitorsOptions) {
    this.#given = given;
    const server = createServer({
      ...limitsOf(given.options),
      // Honest uploads take hours; a least rate guards bodies instead.
      requestTimeout: 0,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      // This server's own check answers it, and records it.
      requireHostHeader: false,
      optimizeEmptyRequests: true,
      shouldUpgradeCallback: (request) => this.#mayUpgrade(request),
    });
    // One more than is allowed, so that the check sees what node:http would silently cut off.
    server.maxHeadersCount = MAX_HEADER_LINES + 1;
    // A visitor that has said all may end its side and still get its answer.
    (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
    server.on('request', this.#serverOnRequest);
    server.on('checkContinue', this.#serverOnRequest);
    server.on('checkExpectation', this.#serverOnRequest);
    server.on('connect', this.#serverOnUpgrade);
    server.on('upgrade', this.#serverOnUpgrade);
    server.on('clientError', this.#serverOnClientError);
    server.on('timeout', this.#serverOnTimeout);
    // Without it a server that never listens has no header time-outs.
    server.emit('listening');
    this.#server = server;
  }

  get size(): number {
    return this.#connections.size;
  }

  accept(socket: Socket, connection: VisitorConnection): void {
    socket.allowHalfOpen = true;
    const { readTimeoutMs: readMs, writeTimeoutMs: writeMs } = this.#given.options;
    const firstHeadOnLate = (): void => this.#serverOnClientError(lateHead(), socket);
    const keepAliveMs = this.#keepAliveMs;
    const state = new Http1Connection(socket, connection, { readMs, writeMs, keepAliveMs, firstHeadOnLate });
    this.#connections.set(socket, state);
    socket.on('close', () => this.#forget(socket));
    this.#server.emit('connection', socket);
    if (this.#draining) state.drain();
    else if (this.#stopped) state.stop();
  }

  readonly #keepAliveMs = (): number => this.#server.keepAliveTimeout;

  /** Takes over those of `options` of which node:http keeps copies; for connections to come. */
  refresh(): void {
    Object.assign(this.#server, limitsOf(this.#given.options));
  }

  /** Connections that came just now and have not asked for anything. */
  get newcomers(): number {
    return Array.from(this.#connections.values()).filter(({ isNew, connection }) => isNew && isNewcomer(connection))
      .length;
  }

  /** The next answer on each connection is its last one. */
  stop(): void {
    this.#stopped = true;
    for (const state of this.#connections.values()) state.stop();
  }

  /** Closes idle connections at once; each of the others with the answer that it waits for. */
  drain(): void {
    this.#draining = true;
    for (const state of this.#connections.values()) state.drain();
  }

  /** Resets what is still open, and ends the server's timer. */
  close(): void {
    for (const [socket, state] of this.#connections) {
      state.drain();
      resetDuplex(socket, new BackdialError('tunnel-draining', 'the server is closing'));
    }
    // It never listened, which is all that its callback would say.
    this.#server.close(() => {});
  }

  #forget(socket: Socket): void {
    const state = this.#connections.get(socket);
    if (state === undefined) return;
    this.#connections.delete(socket);
    state.close();
    this.#given.onGone(state.connection);
  }

  /**
   * A request with a body stays HTTP (RFC 9110, section 7.8 lets a server ignore Upgrade), and so does a pipelined one. The
   * connection ends with it: the parser has stopped and swallows what came behind.
   */
  #mayUpgrade(request: IncomingMessage): boolean {
    const upgrades = this.#canUpgrade(request);
    if (!upgrades) this.#declined.add(request);
    return upgrades;
  }

  #canUpgrade(request: IncomingMessage): boolean {
    const state = this.#connections.get(request.socket);
    if (state === undefined || state.busy || request.httpVersion !== '1.1') return false;
    const { rawHeaders } = request;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i]?.toLowerCase();
      if (name === 'transfer-encoding' || (name === 'content-length' && rawHeaders[i + 1] !== '0')) return false;
    }
    return true;
  }

  readonly #serverOnRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const state = this.#connections.get(request.socket);
    if (state === undefined) {
      request.socket.destroy();
      return;
    }
    const options = this.#declined.has(request) ? state.lastOptions : state.exchangeOptions;
    const exchange = new Http1Exchange(request, response, options);
    state.take(exchange, () => this.#serve(state, request, exchange, false));
  };

  #serve(
    state: Http1Connection,
    request: IncomingMessage,
    exchange: Http1Exchange,
    upgradable: boolean,
  ): Promise<void> {
    state.exchange = exchange;
    // It may have waited for its turn, and be told of all the same.
    if (request.socket.destroyed) exchange.close();
    const visit = http1Arrival(request, exchange, state.connection, { upgradable });
    const wanted = portRequestOf(request, this.#given.options.service);
    return wanted === null ? this.#given.router.serve(visit) : this.#serveAgent(wanted, request, visit);
  }

  async #serveAgent(wanted: PortRequest, request: IncomingMessage, visit: Arrival): Promise<void> {
    if (!(await this.#answerAgent(wanted, request, visit))) await this.#given.router.serve(visit);
  }

  /** Answers an agent that asks for a port, and nobody else. */
  async #answerAgent(wanted: PortRequest, request: IncomingMessage, visit: Arrival): Promise<boolean> {
    const { head, exchange, connection } = visit;
    const answer = typeof head === 'string' ? null : await this.#given.onPort(wanted, request, connection);
    if (answer === null || typeof head === 'string') return false;
    const hasBody = head.framing !== 'none' && head.framing !== 0;
    if (exchange.gone === null) exchange.answer(answer.status, answer.headers, answer.body, hasBody);
    return true;
  }

  readonly #serverOnUpgrade = (request: IncomingMessage, upgraded: unknown, head: Buffer): void => {
    const socket = upgraded as Socket;
    const state = this.#connections.get(socket);
    // node:http took its listeners away.
    socket.on('error', socketOnError);
    if (state === undefined) {
      socket.destroy();
      return;
    }
    if (state.busy) {
      // node:http has left the answer that is under way without its parser and its drain: nothing can be kept of it.
      state.lose(new BackdialError('request-invalid', 'CONNECT behind another request'));
      return;
    }
    if (socket.writableEnded) {
      // What comes behind an answer that ended the connection; whoever ended it closes it soon.
      socket.resume();
      return;
    }
    if (isHandshake(request, this.#given.options.service)) {
      void this.#handshake(state, request, head);
      return;
    }
    // Not before the target's 101 is it read by anyone.
    if (head.length > 0) socket.unshift(head);
    const exchange = new Http1Exchange(request, manualResponse(request, socket), state.upgradeOptions);
    state.take(exchange, () => this.#serve(state, request, exchange, request.method !== 'CONNECT'));
  };

  async #handshake(state: Http1Connection, request: IncomingMessage, head: Buffer): Promise<void> {
    const { socket, connection } = state;
    // A session on a half-open socket would not close with it.
    socket.allowHalfOpen = false;
    this.#forget(socket);
    if (await this.#given.onService(request, socket as TLSSocket, head, connection)) return;
    if (socket.destroyed) return;
    const exchange = new Http1Exchange(request, manualResponse(request, socket), state.upgradeOptions);
    this.#given.router.decline(http1Arrival(request, exchange, connection, { upgradable: false }));
  }

  readonly #serverOnClientError = (error: NodeJS.ErrnoException, stream: unknown): void => {
    const socket = stream as Socket;
    const state = this.#connections.get(socket);
    if (state === undefined) {
      socket.destroy();
      return;
    }
    const code = http1ErrorCode(error);
    if (code === null) {
      // The connection broke, or ended in the middle of a request: there is nobody to answer.
      state.lose(new BackdialError('visitor-reset', error.message));
    } else if (error.code === 'HPE_CLOSED_CONNECTION' || state.refused) {
      // Bytes behind a request with `Connection: close` are ignored, its answer is delivered (design, section 8).
    } else if (code === 'request-timeout' && state.excuseHead()) {
      // See there.
    } else if (state.busy) {
      state.breakRequest(new BackdialError(code, error.message));
    } else {
      state.refused = true;
      this.#refuseUnread(state, new BackdialError(code, error.message));
    }
  };

  /** Answers what was no request. */
  #refuseUnread({ socket, connection }: Http1Connection, error: BackdialError): void {
    const { observer, name: serverName } = this.#given.options;
    if (error.code === 'request-timeout') {
      const { remote, name } = connection;
      observer({ type: 'connection-refused', remote, reason: error.code, detail: error.message, name });
    } else {
      recordUnread(observer, connection, { reason: error.code, status: error.entry.status });
    }
    writeAnswer(socket, errorAnswer(error, { serverName, transaction: null }));
    lingerThenDestroy(socket);
  }

  readonly #serverOnTimeout = (socket: unknown): void => {
    const state = this.#connections.get(socket as Socket);
    if (state?.exchange != null) void state.exchange.look();
    else (socket as Socket).destroy();
  };
}

function limitsOf({ idleTimeoutMs, maxHeaderBytes, readTimeoutMs }: ResolvedServerOptions) {
  return { maxHeaderSize: maxHeaderBytes, keepAliveTimeout: idleTimeoutMs, headersTimeout: readTimeoutMs };
}

function socketOnError(): void {}
