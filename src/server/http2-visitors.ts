import { randomUUID } from 'node:crypto';
import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { BackdialError, type ErrorCode } from '../core/errors.ts';
import { Deadline } from '../net/deadline.ts';
import { checkHttp2Head } from '../net/head-check.ts';
import { Http2Exchange } from '../net/http2-exchange.ts';
import { readHttp2ProxyRequest } from '../net/proxy-head.ts';
import { resetDuplex } from '../net/reset.ts';
import type { ExchangeRouter } from './exchange-router.ts';
import { isNewcomer } from './last-call.ts';
import { VISITOR_RULES } from './request-headers.ts';
import type { ResolvedServerOptions } from './resolve-options.ts';
import { recordUnread } from './visit.ts';
import { timeLeft, type VisitorConnection } from './visitor.ts';

/** Streams at the same time on one visitor's session. */
const MAX_STREAMS = 100;
/** `maxSessionMemory` of node:http2, MB: past it new streams are refused. */
const MAX_SESSION_MB = 10;
/**
 * What node:http2 reads of a head before it resets the stream, which nobody is told of: more than this server's own check allows,
 * so that the check can answer. Bytes as RFC 9113, section 10.5.1 counts them; a field has at least 32. No head is larger by much:
 * nghttp2 takes nine frames of 16 kB, packed as HPACK packs text (8 bits to 5 at best), and ends the session after that. Node
 * does not let that be set; larger frames would be allowed in vain, for clients use none for heads.
 */
const LEAST_LIST_BYTES = 262_144;
const MAX_PAIRS = LEAST_LIST_BYTES / 32;
/** NGHTTP2_ERR_TOO_MANY_CONTINUATIONS, which Node has no name for. */
const TOO_MANY_CONTINUATIONS = -905;
/** Starts with this side's end of the connection; ends the visitor's chance to end its own. */
const ENDING_MS = 2_000;
/** What an upload may have in flight, by stream and in all: more than a session's default of 64 kB, or RTT would limit it. */
const STREAM_WINDOW_BYTES = 262_144;
const SESSION_WINDOW_BYTES = 1_048_576;

export interface Http2VisitorsOptions {
  readonly options: ResolvedServerOptions;
  readonly router: ExchangeRouter;
  /** The connection closed. */
  readonly onGone: (connection: VisitorConnection) => void;
}

/** One visitor's session. */
interface Session {
  readonly connection: VisitorConnection;
  readonly socket: TLSSocket;
  /** Starts with the session, or with its last stream's end; ends with the next request. */
  readonly idle: Deadline;
  /** Starts when the session is to end and no stream is left: all must be taken within `writeTimeout`, then {@link ENDING_MS}. */
  readonly ending: Deadline;
  streams: number;
  requests: number;
  /** To be called as each stream closed. */
  readonly onClosed: () => void;
}

/** Visitors that speak HTTP/2: a node:http2 server that never listens and is handed TLS sockets. */
export class Http2Visitors {
  readonly #given: Http2VisitorsOptions;
  readonly #server: Http2Server;
  readonly #sessions = new Map<ServerHttp2Session, Session>();
  /** The socket that is being handed over: `session` is emitted in the same tick. */
  #arriving: { socket: TLSSocket; connection: VisitorConnection } | null = null;
  #draining = false;

  constructor(given: Http2VisitorsOptions) {
    this.#given = given;
    this.#server = createServer({
      maxSessionMemory: MAX_SESSION_MB,
      maxHeaderListPairs: MAX_PAIRS,
      // What a target says twice is passed on twice.
      strictSingleValueFields: false,
      settings: {
        maxConcurrentStreams: MAX_STREAMS,
        enableConnectProtocol: true,
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxHeaderListSize: listBytes(given.options),
      },
    });
    this.#server.on('session', this.#serverOnSession);
    this.#server.on('stream', this.#serverOnStream);
    this.#server.on('sessionError', () => {});
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Sessions that came just now and have not asked for anything. */
  get newcomers(): number {
    return Array.from(this.#sessions.values()).filter(
      ({ requests, connection }) => requests === 0 && isNewcomer(connection),
    ).length;
  }

  accept(socket: TLSSocket, connection: VisitorConnection): void {
    this.#arriving = { socket, connection };
    this.#server.emit('connection', socket);
    this.#arriving = null;
  }

  /** Takes over those of `options` of which node:http2 keeps copies; for sessions to come. */
  refresh(): void {
    this.#server.updateSettings({ maxHeaderListSize: listBytes(this.#given.options) });
  }

  /** GOAWAY to all; sessions without streams close at once, the others with their last stream. */
  drain(): void {
    this.#draining = true;
    for (const [session, state] of this.#sessions) this.#end(session, state);
  }

  /** Resets what is still open. */
  close(): void {
    for (const [session, { socket }] of this.#sessions) {
      const error = new BackdialError('tunnel-draining', 'the server is closing');
      resetDuplex(socket, error);
      session.destroy();
    }
  }

  readonly #serverOnSession = (session: ServerHttp2Session): void => {
    const arriving = this.#arriving;
    session.on('error', (error) => this.#sessionOnError(error, arriving?.connection));
    if (arriving === null) {
      session.destroy();
      return;
    }
    const { idleTimeoutMs, readTimeoutMs } = this.#given.options;
    const idle = new Deadline(() => this.#sessionOnIdle(session));
    const ending = new Deadline(() => arriving.socket.destroy());
    const onClosed = (): void => this.#streamOnClosed(session, state);
    const state: Session = { ...arriving, idle, ending, streams: 0, requests: 0, onClosed };
    this.#sessions.set(session, state);
    arriving.socket.once('finish', () => ending.arm(ENDING_MS));
    session.on('close', () => {
      this.#sessions.delete(session);
      idle.close();
      ending.close();
      this.#given.onGone(state.connection);
    });
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    idle.arm(readTimeoutMs === 0 ? idleTimeoutMs : timeLeft(arriving.connection, readTimeoutMs));
    if (this.#draining) this.#end(session, state);
  };

  /** What ends the whole session is no stream's: its streams are told of as cut, and this as bytes that were no request. */
  #sessionOnError(error: NodeJS.ErrnoException, connection: VisitorConnection | undefined): void {
    const reason = sessionErrorCode(error);
    if (reason === null || connection === undefined) return;
    recordUnread(this.#given.options.observer, connection, { reason, status: null });
  }

  #sessionOnIdle(session: ServerHttp2Session): void {
    const state = this.#sessions.get(session);
    if (state === undefined) return;
    if (state.requests === 0) {
      const { remote, name } = state.connection;
      const { readTimeoutMs, idleTimeoutMs, observer } = this.#given.options;
      const detail = `no request within ${readTimeoutMs === 0 ? idleTimeoutMs : readTimeoutMs} ms`;
      observer({ type: 'connection-refused', remote, reason: 'request-timeout', detail, name });
    }
    this.#end(session, state);
    // A visitor that does not take the GOAWAY does not close either.
    setImmediate(() => {
      if (!session.destroyed) session.destroy();
    });
  }

  /** GOAWAY: the session ends with its last stream, but its connection not before the visitor ends that, too. */
  #end(session: ServerHttp2Session, { streams, ending }: Session): void {
    session.close();
    if (streams === 0) ending.arm(this.#given.options.writeTimeoutMs);
  }

  readonly #serverOnStream = (stream: ServerHttp2Stream, _headers: unknown, flags: number, raw: string[]): void => {
    stream.on('error', streamOnError);
    const session = stream.session as ServerHttp2Session | undefined;
    const state = session === undefined ? undefined : this.#sessions.get(session);
    if (session === undefined || state === undefined) {
      stream.destroy();
      return;
    }
    state.streams += 1;
    state.requests += 1;
    state.idle.disarm();
    this.#serve(stream, state, flags, raw);
  };

  #streamOnClosed(session: ServerHttp2Session, state: Session): void {
    state.streams -= 1;
    if (state.streams > 0) return;
    if (session.closed) this.#end(session, state);
    else state.idle.arm(this.#given.options.idleTimeoutMs);
  }

  #serve(stream: ServerHttp2Stream, { connection, onClosed }: Session, flags: number, raw: string[]): void {
    const { maxHeaderBytes, writeTimeoutMs } = this.#given.options;
    const ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const method = pseudoOf(raw, ':method');
    const exchange = new Http2Exchange(stream, { method, ended, writeMs: writeTimeoutMs, onClosed });
    const tooLarge = maxHeaderBytes > 0 && sizeOf(raw) > maxHeaderBytes;
    const head = tooLarge ? 'headers-too-large' : checkHttp2Head(raw, ended, VISITOR_RULES);
    void this.#given.router.serve({
      exchange,
      connection,
      method,
      path: pseudoOf(raw, ':path'),
      head,
      transaction: randomUUID(),
      start: Date.now(),
      began: performance.now(),
      upgradable: method === 'CONNECT',
      proxy: method === 'CONNECT' ? readHttp2ProxyRequest(head, raw) : null,
      way: 'https',
    });
  }
}

function listBytes({ maxHeaderBytes }: ResolvedServerOptions): number {
  return Math.max(LEAST_LIST_BYTES, 2 * maxHeaderBytes);
}

function pseudoOf(raw: readonly string[], name: string): string {
  for (let i = 0; i < raw.length; i += 2) if (raw[i] === name) return raw[i + 1] ?? '';
  return '';
}

/** RFC 9113, section 10.5.1: 32 bytes more than name and value, for each field. */
function sizeOf(raw: readonly string[]): number {
  let size = raw.length * 16;
  for (const text of raw) size += text.length;
  return size;
}

/** What ended a session by the visitor's fault; null: its connection broke, or it ended it. */
function sessionErrorCode({ code, errno }: NodeJS.ErrnoException): ErrorCode | null {
  if (code === 'ERR_HTTP2_TOO_MANY_INVALID_FRAMES') return 'request-invalid';
  if (code !== 'ERR_HTTP2_ERROR') return null;
  return errno === TOO_MANY_CONTINUATIONS ? 'headers-too-large' : 'request-invalid';
}

function streamOnError(): void {}
