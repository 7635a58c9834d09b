import { type IncomingHttpHeaders, performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import { type Duplex, getDefaultHighWaterMark } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { TargetTimeouts } from '../core/dial.ts';
import { BackdialError, ERRORS, type ErrorCode } from '../core/errors.ts';
import type { TunnelEnd, Way } from '../core/events.ts';
import type { TunnelStats } from '../core/tunnel-stats.ts';
import { Crowding } from './crowding.ts';
import { watchSilence } from './liveness.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { SessionEnd } from './session-end.ts';
import { serverSessionOptions } from './settings.ts';
import { HEADER, type LivenessOptions, OUTDATED, type StreamHead, type TunnelClosed } from './types.ts';
import { WindowTuner } from './windows.ts';

/** A stream that the server opened and that waits for an answer: exactly one of `accept` and `refuse` is to be called. */
export interface IncomingStream {
  readonly head: StreamHead;
  /** Aborted when the server gave up, or the tunnel ended, before the answer. */
  readonly signal: AbortSignal;
  /**
   * Answers 200 and hands the byte stream over. Its `end` is a clean end; each cut is an `error`; `destroy(error)`
   * reaches the server as a reset.
   */
  accept(timeouts: TargetTimeouts): Duplex;
  /** Answers with the status of `code` and names it in `backdial-error`. */
  refuse(code: ErrorCode): void;
}

/** The agent's end of a tunnel. */
export interface AgentTunnel {
  /** Resolves, once, when the tunnel is over. */
  readonly closed: Promise<TunnelClosed>;
  /** Aborted, once, when the tunnel stops taking streams: the server said GOAWAY, `drain` was called, or it is over. */
  readonly leaving: AbortSignal;
  /** Why it is leaving, as far as that is known: `replaced` calls for a longer wait. */
  readonly reason: TunnelEnd | null;
  /** Round trip of the last PING, ms; null before the first. */
  readonly rttMs: number | null;
  readonly streamCount: number;
  /** Whether a stream to come would fare better on another tunnel ({@link Crowding}). */
  readonly isCrowded: boolean;
  readonly stats: TunnelStats;
  /** Tells the server not to use streams again that are open now: their targets are no more. */
  outdateStreams(): void;
  /** GOAWAY, then the streams have until the deadline; resolves when the tunnel is over. */
  drain(deadlineMs: number): Promise<void>;
  /** Ends the tunnel at once. */
  destroy(): void;
}

export interface ServeTunnelOptions {
  /** SETTINGS_MAX_CONCURRENT_STREAMS. */
  readonly concurrency: number;
  readonly liveness: LivenessOptions;
  /** Of this tunnel and of those beside it. */
  readonly budget: MemoryBudget;
  onStream(stream: IncomingStream): void;
}

/**
 * Serves the turned-around connection: from here the agent is the HTTP/2 server of a socket that it dialled. Owns the
 * socket. To be called after the `101`, with what followed it put back (`unshift`).
 */
export function serveTunnel(socket: TLSSocket, options: ServeTunnelOptions): AgentTunnel {
  const openedAt = Date.now();
  const end = new SessionEnd(socket);
  const session = performServerHandshake(socket, serverSessionOptions(options.concurrency));
  end.watch(session);
  const liveness = watchSilence(session, socket, {
    ...options.liveness,
    onSilent: () => end.cut('agent-silent', 'silent'),
  });
  const windows = new WindowTuner(session, socket, {
    streams: end.streams,
    readAheadBytes: getDefaultHighWaterMark(false),
    budget: options.budget,
    liveness,
  });
  const crowding = new Crowding(end.streams, options.budget);
  windows.start();
  void end.closed.then(() => {
    liveness.stop();
    windows.stop();
  });

  session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', ignoreLateError);
    stream.on('aborted', streamOnAborted);
    end.add(stream);
    windows.streamAdded();
    const head = readStreamHead(headers);
    if (head === null) refuse(stream, 'request-invalid');
    else options.onStream(new WaitingStream(stream, head));
  });

  return {
    closed: end.closed,
    leaving: end.leaving,
    get reason() {
      return end.reason;
    },
    get rttMs() {
      return liveness.rttMs;
    },
    get streamCount() {
      return end.streams.size;
    },
    get isCrowded() {
      return crowding.isCrowded;
    },
    get stats() {
      const { bytesRead: receivedBytes, bytesWritten: sentBytes } = socket;
      const { rttMs } = liveness;
      return { openedAt, rttMs, streams: end.streams.size, ...windows.stats, receivedBytes, sentBytes };
    },
    outdateStreams() {
      if (!session.destroyed && !session.closed) session.altsvc(OUTDATED.value, OUTDATED.origin);
    },
    async drain(deadlineMs) {
      end.drain('drained', deadlineMs);
      await end.closed;
    },
    destroy() {
      end.cut('agent-lost');
    },
  };
}

class WaitingStream implements IncomingStream {
  readonly head: StreamHead;
  readonly #stream: ServerHttp2Stream;
  #left: AbortController | null = null;
  readonly #streamOnClose = (): void => this.#left?.abort(new BackdialError('visitor-reset'));

  constructor(stream: ServerHttp2Stream, head: StreamHead) {
    this.#stream = stream;
    this.head = head;
  }

  get signal(): AbortSignal {
    if (this.#left === null) {
      const left = new AbortController();
      this.#left = left;
      if (this.#stream.destroyed) this.#streamOnClose();
      else this.#stream.once('close', this.#streamOnClose);
    }
    return this.#left.signal;
  }

  accept(timeouts: TargetTimeouts): Duplex {
    this.#answered();
    if (!this.#stream.destroyed) {
      const { readMs, writeMs } = timeouts;
      // Names and values in turns: the stream keeps them, and an object of them would be three times as large.
      const head = [':status', '200', HEADER.readTimeout, `${readMs}`, HEADER.writeTimeout, `${writeMs}`];
      this.#stream.respond(head, UNDATED);
    }
    return this.#stream;
  }

  refuse(code: ErrorCode): void {
    this.#answered();
    refuse(this.#stream, code);
  }

  /** An abort at each stream's end would be heard by nobody, and costs more than the rest of an end. */
  #answered(): void {
    if (this.#left !== null) this.#stream.off('close', this.#streamOnClose);
  }
}

/** Nobody asks for the Date of an answer to CONNECT; the type lacks `sendDate`. */
const UNDATED = { endStream: false, sendDate: false };

function refuse(stream: ServerHttp2Stream, code: ErrorCode): void {
  if (stream.destroyed) return;
  stream.respond({ ':status': ERRORS[code].status, [HEADER.error]: code }, { endStream: true });
  stream.resume();
}

/** A stream must never be without an `error` listener; whoever joins it adds its own. */
function ignoreLateError(): void {}

/** The server reset the stream with a code that Node does not report as an error (CANCEL, NO_ERROR): a cut all the same. */
function streamOnAborted(this: ServerHttp2Stream): void {
  this.destroy(new BackdialError('visitor-reset', 'the server reset the stream'));
}

const WAYS: readonly string[] = ['https', 'tls', 'tcp', 'proxy', 'connect', 'library', 'peer'] satisfies Way[];

function readStreamHead(headers: IncomingHttpHeaders): StreamHead | null {
  const authority = headers[':authority'];
  const way = headers[HEADER.way];
  const client = headers[HEADER.client];
  const transaction = headers[HEADER.transaction];
  if (headers[':method'] !== 'CONNECT' || typeof authority !== 'string') return null;
  if (typeof way !== 'string' || !WAYS.includes(way)) return null;
  return {
    authority,
    way: way as Way,
    http: way === 'https' || headers[HEADER.http] === '1',
    client: typeof client === 'string' ? client : null,
    transaction: typeof transaction === 'string' ? transaction : '',
  };
}
