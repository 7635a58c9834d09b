import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Carrier, DialOptions, TargetTimeouts } from '../core/dial.ts';
import { BackdialError, type ErrorCode, isErrorCode } from '../core/errors.ts';
import type { TunnelEnd, TunnelInfo, Way } from '../core/events.ts';
import type { TunnelStats } from '../core/tunnel-stats.ts';
import { LateAnswers } from '../net/late-answers.ts';
import { Crowding } from './crowding.ts';
import { type Liveness, watchLiveness } from './liveness.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { READ_AHEAD_BYTES, readingLittleAhead } from './read-ahead.ts';
import { SessionEnd } from './session-end.ts';
import { clientSessionOptions } from './settings.ts';
import { HEADER, type LivenessOptions, OUTDATED, type TunnelClosed } from './types.ts';
import { WindowTuner } from './windows.ts';

/** What an agent uses where it does not say. */
const DEFAULT_TIMEOUTS: TargetTimeouts = { readMs: 60_000, writeMs: 20_000 };

/** What the server knows when an agent's handshake was accepted. */
export interface ServerTunnelOptions {
  readonly info: TunnelInfo;
  readonly streamPerVisitor: boolean;
  readonly liveness: LivenessOptions;
  /** Starts with `open`; ends with the agent's answer. Above the agent's own budget for its target. */
  readonly dialTimeoutMs: number;
  /** Of this tunnel and of those beside it. */
  readonly budget: MemoryBudget;
  /** Told of each stream that was opened, or was not. */
  readonly onDialled?: (dialled: { way: Way; durationMs: number; error: ErrorCode | null }) => void;
}

/**
 * The server's end of a tunnel: it is the HTTP/2 client and opens streams. To be made once the `101` was written (in the
 * write's callback: a session on a socket that is still writing aborts the process); owns the socket from then on.
 */
export class ServerTunnel implements Carrier {
  readonly info: TunnelInfo;
  readonly streamPerVisitor: boolean;
  readonly #openedAt = Date.now();
  readonly #socket: TLSSocket;
  readonly #session: ClientHttp2Session;
  readonly #end: SessionEnd;
  readonly #liveness: Liveness;
  readonly #windows: WindowTuner;
  readonly #crowding: Crowding;
  readonly #lateAnswers = new LateAnswers();
  readonly #dialTimeoutMs: number;
  readonly #onDialled: ServerTunnelOptions['onDialled'];
  #timeouts = DEFAULT_TIMEOUTS;
  #epoch = 0;

  constructor(socket: TLSSocket, options: ServerTunnelOptions) {
    this.info = options.info;
    this.streamPerVisitor = options.streamPerVisitor;
    this.#dialTimeoutMs = options.dialTimeoutMs;
    this.#socket = socket;
    this.#onDialled = options.onDialled;
    this.#end = new SessionEnd(socket);
    const session = connect('http://agent', { ...clientSessionOptions(), createConnection: () => socket });
    this.#end.watch(session);
    this.#session = session;
    this.#liveness = watchLiveness(session, socket, {
      ...options.liveness,
      onSilent: () => this.#end.cut('agent-silent', 'silent'),
    });
    this.#windows = new WindowTuner(session, socket, {
      streams: this.#end.streams,
      readAheadBytes: READ_AHEAD_BYTES,
      budget: options.budget,
      liveness: this.#liveness,
    });
    this.#crowding = new Crowding(this.#end.streams, options.budget);
    session.once('connect', () => this.#windows.start());
    session.on('altsvc', (value) => {
      if (value === OUTDATED.value) this.#epoch += 1;
    });
    void this.#end.closed.then(() => {
      this.#liveness.stop();
      this.#windows.stop();
    });
  }

  get id(): string {
    return this.info.id;
  }
  get domain(): string {
    return this.info.domain;
  }
  get instance(): string {
    return this.info.instance;
  }
  get timeouts(): TargetTimeouts {
    return this.#timeouts;
  }
  get epoch(): number {
    return this.#epoch;
  }
  get usable(): boolean {
    return !this.#end.leaving.aborted && !this.#session.destroyed && !this.#session.closed;
  }
  get leaving(): AbortSignal {
    return this.#end.leaving;
  }
  /** Streams that are open or being opened. */
  get streamCount(): number {
    return this.#end.streams.size;
  }
  /** Whether a stream to come would fare better on another tunnel ({@link Crowding}). */
  get isCrowded(): boolean {
    return this.#crowding.isCrowded;
  }
  /** How many streams the agent allows here (its SETTINGS_MAX_CONCURRENT_STREAMS). */
  get streamLimit(): number {
    return this.#session.remoteSettings?.maxConcurrentStreams ?? 100;
  }
  /** Resolves, once, when the tunnel is over. */
  get closed(): Promise<TunnelClosed> {
    return this.#end.closed;
  }
  get rttMs(): number | null {
    return this.#liveness.rttMs;
  }
  get stats(): TunnelStats {
    const { bytesRead: receivedBytes, bytesWritten: sentBytes } = this.#socket;
    const { rttMs, streamCount: streams } = this;
    return { openedAt: this.#openedAt, rttMs, streams, ...this.#windows.stats, receivedBytes, sentBytes };
  }

  async open(authority: string, options: DialOptions): Promise<Duplex> {
    const began = performance.now();
    let error: ErrorCode | null = null;
    try {
      return await this.#open(authority, options);
    } catch (thrown) {
      error = thrown instanceof BackdialError ? thrown.code : 'internal';
      throw thrown;
    } finally {
      this.#onDialled?.({ way: options.way, durationMs: performance.now() - began, error });
    }
  }

  #open(authority: string, options: DialOptions): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      if (!this.usable) throw new BackdialError('tunnel-draining');
      if (options.signal?.aborted === true) throw aborted(options.signal);
      const headers = connectHeaders(authority, options);
      const stream = readingLittleAhead(() => this.#session.request(headers, { endStream: false }));
      this.#end.add(stream);
      this.#windows.streamAdded();

      const fail = (error: BackdialError): void => {
        settle();
        reject(error);
        stream.destroy(error);
      };
      const streamOnError = (error: Error): void => fail(asDialError(stream, error));
      const streamOnClose = (): void => fail(new BackdialError('agent-lost', 'the stream was closed unanswered'));
      const streamOnResponse = (headers: IncomingHttpHeaders & { ':status'?: number }): void => {
        const status = headers[':status'] ?? 0;
        if (status < 200 || status > 299) {
          fail(refusal(status, headers));
          return;
        }
        this.#readTimeouts(headers);
        settle();
        resolve(stream);
      };
      const signalOnAbort = (): void => {
        const error = aborted(options.signal);
        if (this.#lateAnswers.take()) {
          fail(error);
          return;
        }
        settle();
        reject(error);
        this.#resetOnceAnswered(stream, error);
      };
      const timer = setTimeout(
        () => fail(new BackdialError('dial-timeout', `${authority}, ${this.#dialTimeoutMs} ms`)),
        this.#dialTimeoutMs,
      );
      const settle = (): void => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', signalOnAbort);
        stream.off('response', streamOnResponse);
        stream.off('close', streamOnClose);
        stream.off('error', streamOnError);
        stream.on('error', ignoreLateError);
        stream.on('aborted', streamOnAborted);
      };
      stream.on('error', streamOnError);
      stream.on('close', streamOnClose);
      stream.on('response', streamOnResponse);
      options.signal?.addEventListener('abort', signalOnAbort);
    });
  }

  /** The agent ends its own dial before the deadline, and says so. */
  #resetOnceAnswered(stream: ClientHttp2Stream, error: BackdialError): void {
    const reset = (): void => void stream.destroy(error);
    const timer = setTimeout(reset, this.#dialTimeoutMs);
    stream.once('response', reset);
    stream.once('close', () => clearTimeout(timer));
  }

  /** GOAWAY, then the streams have until the deadline. */
  drain(reason: TunnelEnd, deadlineMs: number): void {
    this.#end.drain(reason, deadlineMs);
  }

  /** Ends the tunnel at once. */
  destroy(): void {
    this.#end.cut('agent-lost');
  }

  /** Ends the tunnel at once because it would not be let in any more; its streams are cut with `code`. */
  revoke(code: ErrorCode, detail: string): void {
    this.#end.cut(code, 'removed', detail);
  }

  #readTimeouts(headers: IncomingHttpHeaders): void {
    const readMs = milliseconds(headers[HEADER.readTimeout]) ?? this.#timeouts.readMs;
    const writeMs = milliseconds(headers[HEADER.writeTimeout]) ?? this.#timeouts.writeMs;
    if (readMs !== this.#timeouts.readMs || writeMs !== this.#timeouts.writeMs) this.#timeouts = { readMs, writeMs };
  }
}

/** The caller's reason survives as `cause`. */
function aborted(signal: AbortSignal | undefined): BackdialError {
  return new BackdialError('dial-aborted', undefined, { cause: signal?.reason });
}

/** A stream must never be without an `error` listener; whoever joins it adds its own. */
function ignoreLateError(): void {}

/** The peer reset the stream with a code that Node does not report as an error (CANCEL, NO_ERROR): a cut all the same. */
function streamOnAborted(this: ClientHttp2Stream): void {
  // One stream only, so it is not the agent that was lost but what it had joined the stream to.
  this.destroy(new BackdialError('target-lost', 'the agent reset the stream'));
}

/** Names and values in turns: the stream keeps them, and an object of them would be three times as large. */
function connectHeaders(authority: string, { way, transaction, client, http }: DialOptions): string[] {
  const headers = [':method', 'CONNECT', ':authority', authority, HEADER.way, way, HEADER.transaction, transaction];
  if (http === true && way !== 'https') headers.push(HEADER.http, '1');
  if (client !== undefined) headers.push(HEADER.client, client);
  return headers;
}

function refusal(status: number, headers: IncomingHttpHeaders): BackdialError {
  const code = headers[HEADER.error];
  if (typeof code === 'string' && isErrorCode(code)) return new BackdialError(code);
  return new BackdialError('agent-lost', `the agent answered CONNECT with status ${status}`);
}

function asDialError(stream: ClientHttp2Stream, error: Error): BackdialError {
  if (error instanceof BackdialError) return error;
  // Raced with the agent's GOAWAY: it never looked at the stream, so another tunnel may have it (RFC 9113, section 8.7).
  const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
  return new BackdialError(refused ? 'tunnel-draining' : 'agent-lost', error.message, { cause: error });
}

function milliseconds(value: string | string[] | undefined): number | null {
  return typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : null;
}
