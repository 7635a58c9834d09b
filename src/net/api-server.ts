import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { formatAddress, formatPeer, type SocketAddress } from '../core/address.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { MAX_API_BODY_BYTES, readJson, writeAnswer } from './api-exchange.ts';
import { type ApiAccess, checkOrigin, checkSender } from './api-guard.ts';
import { type ApiAnswer, type ApiRequest, type ApiRoute, failure, findRoute } from './api-route.ts';
import { bindServer, type Listener } from './listen.ts';
import type { ListenerGroup } from './listener-group.ts';
import { ListenerSet, type WantedListener } from './listener-set.ts';
import { type OpenApiInfo, openApiOf } from './openapi.ts';

/** What an API is made of. */
export interface ApiServerOptions {
  readonly info: OpenApiInfo;
  readonly routes: readonly ApiRoute[];
  /** Told of each listener that was opened. */
  readonly onListening?: (address: string) => void;
  /** Told of a fault of a route, which was answered by a 500, and of a connection that could not be accepted. */
  readonly onFault?: (fault: Error) => void;
  /** Connections that a listener has at a time; of more each is closed at once. Default 256. */
  readonly maxConnections?: number;
  /** Without a byte in either direction: an answer that nobody reads, too. Default 30 s. */
  readonly idleTimeoutMs?: number;
}

/**
 * A small HTTP API for the operator of this machine: routes in a table, JSON in and out, `GET /openapi.json`. Without a token
 * only loopback may ask; Host and Origin are always checked. It outlives a drain until `close`: a probe reads there how far
 * it is.
 */
export interface ApiServer {
  /** Where it listens now. */
  readonly addresses: readonly SocketAddress[];
  /**
   * Goes over to other listeners, token and names; at first there are none. Null closes all. Gives what could not be opened
   * (`listen-failed`), which the next call tries again.
   */
  apply(access: ApiAccess | null): Promise<BackdialError[]>;
  /** Stops accepting; answers what was asked, for a second at most; resolves when everything is closed. Idempotent. */
  close(): Promise<void>;
}

/** Makes an API that listens nowhere yet. */
export function createApiServer(options: ApiServerOptions): ApiServer {
  return new RouteServer(options);
}

const MAX_HEADER_BYTES = 16_384;
const MAX_CONNECTIONS = 256;
/** From accept, or the first byte of a request, to the end of its head. */
const HEAD_TIMEOUT_MS = 5_000;
/** The same to the end of its body. */
const REQUEST_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 5_000;
/** What is left for answers when it closes. */
const CLOSE_MS = 1_000;
const NOBODY: ApiAccess = { listen: [], token: null, names: [] };

class RouteServer implements ApiServer {
  readonly #options: ApiServerOptions;
  readonly #routes: readonly ApiRoute[];
  readonly #listeners = new ListenerSet();
  readonly #pending = new Set<AbortController>();
  /** Requests under way, by socket. */
  readonly #busy = new WeakMap<Socket, number>();
  #access: ApiAccess = NOBODY;
  #closing: Promise<void> | null = null;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    const document: ApiRoute = {
      method: 'GET',
      path: '/openapi.json',
      operation: {
        summary: 'This document',
        responses: { 200: { description: 'OpenAPI 3.1', schema: { type: 'object' } } },
      },
      handle: () => ({ json: openApiOf(options.info, this.#routes) }),
    };
    this.#routes = [...options.routes, document];
  }

  get addresses(): readonly SocketAddress[] {
    return this.#listeners.addresses;
  }

  async apply(access: ApiAccess | null): Promise<BackdialError[]> {
    if (this.#closing !== null) return [];
    this.#access = access ?? NOBODY;
    const wanted = this.#access.listen.map(
      (address): WantedListener => ({ key: formatAddress(address), listen: (group) => this.#open(address, group) }),
    );
    return this.#listeners.follow(wanted, closeSoon);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#listeners.stop();
    const cut = setTimeout(() => {
      for (const pending of this.#pending) pending.abort();
      void this.#listeners.close((socket) => socket.destroy());
    }, CLOSE_MS);
    // Whoever is between two requests is not waited for.
    await this.#listeners.close((socket) => {
      if (!this.#isBusy(socket)) socket.destroy();
    });
    clearTimeout(cut);
  }

  #isBusy(socket: Socket): boolean {
    return (this.#busy.get(socket) ?? 0) > 0;
  }

  async #open(address: SocketAddress, group: ListenerGroup): Promise<Listener> {
    const server = http.createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEAD_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
    });
    server.timeout = this.#options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
    server.maxConnections = this.#options.maxConnections ?? MAX_CONNECTIONS;
    server.on('connection', (socket: Socket) => {
      socket.on('error', socketOnError);
      group.addSocket(socket);
    });
    server.on('request', (request, response) => void this.#serverOnRequest(request, response));
    // A body that is refused by its length is not asked for.
    server.on('checkContinue', (request, response) => {
      const length = Number(request.headers['content-length'] ?? 0);
      if (length <= MAX_API_BODY_BYTES) response.writeContinue();
      void this.#serverOnRequest(request, response);
    });
    const listener = await bindServer(server, address, { onAcceptError: (error) => this.#options.onFault?.(error) });
    this.#options.onListening?.(formatAddress(listener.address));
    return listener;
  }

  async #serverOnRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    this.#busy.set(socket, (this.#busy.get(socket) ?? 0) + 1);
    const left = new AbortController();
    this.#pending.add(left);
    response.once('close', () => {
      this.#busy.set(socket, (this.#busy.get(socket) ?? 1) - 1);
      this.#pending.delete(left);
      left.abort();
    });
    const answer = await this.#answer(request, left.signal).catch((thrown: unknown) => this.#faultAnswer(thrown));
    writeAnswer(response, answer, { head: request.method === 'HEAD', last: this.#closing !== null });
  }

  async #answer(request: IncomingMessage, signal: AbortSignal): Promise<ApiAnswer> {
    const access = this.#access;
    const remote = formatPeer(request.socket.remoteAddress, request.socket.remotePort);
    checkOrigin(request, access);
    const { method = '', url = '' } = request;
    const [path = '', ...query] = url.split('?');
    if (!path.startsWith('/')) throw new BackdialError('request-invalid', 'the request target must begin with /');
    const found = findRoute(this.#routes, method, path);
    // Before it is told what there is.
    if (found.route?.open !== true) checkSender(request, remote, access);
    if (found.route === null) return missing(method, path, found.allow);
    return found.route.handle({
      method,
      path,
      parameters: found.parameters,
      query: new URLSearchParams(query.join('?')),
      headers: request.headers,
      remote,
      signal,
      json: () => readJson(request),
    } satisfies ApiRequest);
  }

  #faultAnswer(thrown: unknown): ApiAnswer {
    const error = asBackdialError(thrown, 'internal');
    if (error.code === 'api-token') return failure(error, {}, { 'WWW-Authenticate': 'Bearer realm="backdial"' });
    if (error.code !== 'internal') return failure(error);
    this.#options.onFault?.(error);
    // What it says is for the log.
    return failure(new BackdialError('internal', 'see the log'));
  }
}

function missing(method: string, path: string, allow: readonly string[]): ApiAnswer {
  if (allow.length === 0)
    return failure(new BackdialError('api-not-found', `no path ${JSON.stringify(path.slice(0, 200))}`));
  const allowed = allow.join(', ');
  return failure(new BackdialError('method-refused', `${method}; allowed: ${allowed}`), {}, { Allow: allowed });
}

/** For the sockets of a listener that is no longer wanted. */
function closeSoon(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), CLOSE_MS);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}

/** What an error means is told by `close`. */
function socketOnError(): void {}
