import { createServer, type IncomingMessage, Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import type { StreamEnd } from '../core/events.ts';
import { errorAnswer } from '../net/error-answer.ts';
import { StreamSocket } from '../net/stream-socket.ts';
import { type FetchHandler, serveFetch } from './fetch-handler.ts';
import { keepWhole } from './whole-response.ts';

/** Answers a request of node:http. What it throws, or rejects with, is answered 500; after the head it is a cut. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => unknown;

/**
 * What serves a domain in this process, without any local port: a server of node:http (that need not listen; its `upgrade` and
 * other events work), a function `(request, response)`, a function `(request)` that gives a Response, or an object with
 * such a function as `fetch`. A function is of the first kind when it has two parameters or more.
 */
export type AgentHandler = Server | RequestHandler | FetchHandler | { readonly fetch: FetchHandler };

/** Told of what a handler threw. */
export type HandlerFaults = (error: BackdialError) => void;

/** How a stream that a handler served ended. */
export interface HandledStream {
  readonly end: StreamEnd;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Serves one stream; owns it, and resolves when it is over. The same one for the same handler. */
export type StreamHandler = (stream: Duplex, name: string, onFault: HandlerFaults) => Promise<HandledStream>;

const known = new WeakMap<object, StreamHandler>();

/** The handler in the form in which streams are given to it; null for what is none. */
export function streamHandler(handler: AgentHandler): StreamHandler | null {
  const before = known.get(handler);
  if (before !== undefined) return before;
  const connections = new HandledConnections();
  const server = serverFor(handler, connections);
  if (server === null) return null;
  const made: StreamHandler = (stream, name, onFault) => connections.serve(server, stream, { name, onFault });
  known.set(handler, made);
  return made;
}

interface Connection {
  /** Who says so in Proxy-Status. */
  readonly name: string;
  readonly onFault: HandlerFaults;
}

class HandledConnections {
  readonly #connections = new WeakMap<Duplex, Connection>();

  async serve(server: Server, stream: Duplex, connection: Connection): Promise<HandledStream> {
    let cut: Error | null = null;
    // Before the socket has its own listener: what it destroys the stream with is no cut by the visitor.
    const streamOnError = (error: Error): void => {
      if (!socket.destroyed) cut = error;
    };
    stream.on('error', streamOnError);
    const socket: StreamSocket = new StreamSocket(stream);
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once('close', resolve);
    this.#connections.set(socket, connection);
    if (stream.destroyed) socket.destroy();
    else server.emit('connection', socket);
    await promise;
    const { bytesRead, bytesWritten, errored, readableEnded, writableFinished } = socket;
    const isWhole = errored === null && readableEnded && writableFinished;
    const end = isWhole ? 'done' : cut === null ? 'target-lost' : asBackdialError(cut, 'visitor-reset').code;
    return { end, bytesIn: bytesRead, bytesOut: bytesWritten };
  }

  /** Calls a handler; what it throws costs its own exchange, and is told. */
  async run(request: IncomingMessage, response: ServerResponse, action: () => unknown): Promise<void> {
    try {
      await action();
    } catch (thrown) {
      const error = handlerFault(thrown);
      answerFault(response, error, this.tell(request, error).name);
    }
  }

  /** Cuts an answer that is not as long as it says, and tells of that. A server may also have visitors of its own: not theirs. */
  keepWhole(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#connections.has(request.socket)) return;
    keepWhole(response, (error) => void this.tell(request, handlerFault(error)));
  }

  tell(request: IncomingMessage, error: BackdialError): Connection {
    const connection = this.#connections.get(request.socket) ?? NOBODY;
    connection.onFault(error);
    return connection;
  }
}

const NOBODY: Connection = { name: 'agent', onFault: () => {} };

function serverFor(handler: AgentHandler, connections: HandledConnections): Server | null {
  if (handler instanceof Server) {
    const keepWhole: RequestHandler = (request, response) => connections.keepWhole(request, response);
    handler.prependListener('request', keepWhole);
    for (const event of INSTEAD_OF_REQUEST) listenWithOthers(handler, event, keepWhole);
    return handler;
  }
  const isFunction = typeof handler === 'function';
  const fetch = isFunction ? (handler.length < 2 ? (handler as FetchHandler) : null) : fetchOf(handler);
  if (fetch === null && !isFunction) return null;
  const server = createServer({
    // The far end decides how long a stream is kept, and watches its visitors.
    keepAliveTimeout: 0,
    headersTimeout: 0,
    requestTimeout: 0,
    maxHeaderSize: MAX_HEAD_BYTES,
  });
  server.maxHeadersCount = 0;
  server.timeout = 0;
  // A client that half-closes after its request gets its answer.
  (server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true;
  server.on('request', (request, response) => {
    connections.keepWhole(request, response);
    const action =
      fetch === null
        ? () => (handler as RequestHandler)(request, response)
        : () => serveFetch(fetch, request, response);
    void connections.run(request, response, action);
  });
  return server;
}

/** What node:http emits for a request with `Expect` where someone listens to it; otherwise it answers that itself. */
const INSTEAD_OF_REQUEST = ['checkContinue', 'checkExpectation'];

/** Listens first, and only for as long as others do. */
function listenWithOthers(server: Server, event: string, listener: RequestHandler): void {
  const listens = (): boolean => server.listenerCount(event, listener) > 0;
  server.on('newListener', (name, added) => {
    if (name === event && added !== listener && !listens()) server.prependListener(event, listener);
  });
  server.on('removeListener', (name) => {
    if (name === event && server.listenerCount(event) === 1 && listens()) server.off(event, listener);
  });
  if (server.listenerCount(event) > 0) server.prependListener(event, listener);
}

/** Above what a server lets through (64 kB unless it is told otherwise) and what it adds. */
const MAX_HEAD_BYTES = 1024 * 1024;

function fetchOf(handler: unknown): FetchHandler | null {
  if (typeof handler !== 'object' || handler === null || !('fetch' in handler)) return null;
  const { fetch } = handler;
  return typeof fetch === 'function' ? (request) => (handler as { fetch: FetchHandler }).fetch(request) : null;
}

function handlerFault(thrown: unknown): BackdialError {
  if (thrown instanceof BackdialError) return thrown;
  const detail = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return new BackdialError('handler-failed', detail, { cause: thrown });
}

function answerFault(response: ServerResponse, error: BackdialError, name: string): void {
  if (response.writableEnded || response.destroyed) return;
  if (response.headersSent) {
    // What was begun must not look complete.
    response.destroy(error);
    return;
  }
  const { status, headers, body } = errorAnswer(error, name);
  for (const field of response.getHeaderNames()) response.removeHeader(field);
  response.writeHead(status, headers).end(body);
}
