import { constants, type Http2Session, type Http2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { Crowd } from '../core/crowd.ts';
import { BackdialError, type ErrorCode } from '../core/errors.ts';
import type { TunnelEnd } from '../core/events.ts';
import { forgetListeners } from '../net/forget-listeners.ts';
import { resetDuplex } from '../net/reset.ts';
import type { TunnelClosed } from './types.ts';

/** GOAWAY debug data that tells an agent that a newer tunnel took its place. */
const REPLACED = 'replaced';

/** GOAWAY debug data for a peer that gave no sign of life, in case that it only slept. */
const SILENT = 'silent';

/** Starts when the session failed; ends the socket. Enough for a GOAWAY that can still be written. */
const GOAWAY_GRACE_MS = 250;

/**
 * Starts when a tunnel that is leaving has no stream any more; ends the socket. The far end's part of the parting normally takes
 * one round trip; a far end that froze, or a connection that broke in this moment, would leave it out for ever.
 */
const PARTING_MS = 5_000;

/**
 * Owns the end of one tunnel, on either side: which streams it carries, why it ended, and that none of them ends cleanly
 * because of it.
 *
 *     open --- drain(reason) / GOAWAY of the peer --> leaving --- last stream done, or deadline --> closed
 *       \-- socket closed, reset, PING unanswered, protocol error ------------------------------------^
 *
 * Has to be made *before* the HTTP/2 session: its `close` listener must stand before Node's own on the socket, for that
 * one turns the loss of a connection (FIN) into a clean end of every stream.
 */
export class SessionEnd {
  readonly closed: Promise<TunnelClosed>;
  readonly streams = new Crowd<Http2Stream>();
  readonly #socket: TLSSocket;
  readonly #leaving = new AbortController();
  #session: Http2Session | null = null;
  #resolve: (closed: TunnelClosed) => void = () => {};
  #reason: TunnelEnd | null = null;
  #detail: string | null = null;
  #deadline: NodeJS.Timeout | null = null;
  #closing: NodeJS.Timeout | null = null;
  #parting: NodeJS.Timeout | null = null;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // Where HTTP/2 was broken the socket is sometimes told first.
      if (isOfHttp2(error)) this.#note('protocol-error', error.message);
      else this.#note('lost', error.code ?? error.message);
      // Before Node's own listener does so, with an error that says nothing of which hop it was.
      this.#cutStreams(new BackdialError('agent-lost', error.code));
      this.#closeSocketIn(0);
    });
    socket.on('close', () => this.#socketOnClose());
  }

  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  get reason(): TunnelEnd | null {
    return this.#reason;
  }

  /** To be called in the turn that made the session. */
  watch(session: Http2Session): void {
    this.#session = session;
    session.on('error', (error: NodeJS.ErrnoException) => {
      this.#note(isOfHttp2(error) ? 'protocol-error' : 'lost', error.message);
      this.#closeSocketIn(GOAWAY_GRACE_MS);
    });
    session.on('goaway', (code: number, _lastStreamId: number, data?: Buffer) => {
      const word = data?.toString('latin1');
      if (code !== constants.NGHTTP2_NO_ERROR) this.#note('protocol-error', `GOAWAY code ${code}`);
      else if (word === SILENT) this.#note('lost', 'the other side had heard nothing from this one, and gave it up');
      else this.#note(word === REPLACED ? 'replaced' : 'peer-drained', null);
      this.#leave();
      // There is nobody left to part from.
      if (word === SILENT) this.#closeSocketIn(0);
    });
    session.on('close', () => this.#finish());
  }

  /** Keeps a stream until its end, so that the end of the tunnel is a cut of it. */
  add(stream: Http2Stream): void {
    const place = this.streams.enter(stream);
    this.#stay();
    stream.on('close', () => {
      this.streams.leave(place);
      forgetListeners(stream);
      if (this.#leaving.signal.aborted) this.#part();
    });
  }

  /** Opens nothing new, tells the peer (GOAWAY), waits for the streams, and cuts them at the deadline. */
  drain(reason: TunnelEnd, deadlineMs: number): void {
    const session = this.#session;
    if (session === null || session.destroyed || this.#deadline !== null) return;
    this.#note(reason, null);
    this.#deadline = setTimeout(() => this.cut('agent-lost'), deadlineMs);
    if (reason === 'replaced') this.#say(REPLACED);
    session.close();
    this.#leave();
  }

  /** Ends the tunnel now; every stream is cut with `code`. */
  cut(code: ErrorCode, reason: TunnelEnd = 'shutdown', detail: string | null = null): void {
    this.#note(reason, detail);
    this.#cutStreams(new BackdialError(code));
    // Never inside a callback of http2: that has crashed several versions of Node.
    setImmediate(() => {
      if (reason === 'silent') this.#say(SILENT);
      this.#session?.destroy();
      resetDuplex(this.#socket, new BackdialError(code));
    });
  }

  /** Why it ends, in a GOAWAY: `close` and `destroy` send one without debug data. */
  #say(word: string): void {
    if (this.#session === null || this.#session.destroyed) return;
    // A last stream id of 0 means "the last one that was processed" to Node.
    this.#session.goaway(constants.NGHTTP2_NO_ERROR, 0, Buffer.from(word, 'latin1'));
  }

  /** The first reason counts: what follows is its consequence. */
  #note(reason: TunnelEnd, detail: string | null): void {
    this.#reason ??= reason;
    this.#detail ??= detail;
  }

  #leave(): void {
    if (this.#leaving.signal.aborted) return;
    this.#leaving.abort();
    this.#part();
  }

  #part(): void {
    if (this.streams.size > 0 || this.#socket.destroyed) return;
    this.#parting ??= setTimeout(() => this.#socket.destroy(), PARTING_MS);
  }

  #stay(): void {
    if (this.#parting !== null) clearTimeout(this.#parting);
    this.#parting = null;
  }

  /**
   * A TLS socket that broke after its handshake is not destroyed by Node, and the session on it, though destroyed, waits
   * for its GOAWAY to be written, which a broken socket never does: without this neither would ever close.
   */
  #closeSocketIn(ms: number): void {
    this.#leave();
    this.#closing ??= setTimeout(() => this.#socket.destroy(), ms);
  }

  #socketOnClose(): void {
    this.#note('lost', null);
    this.#cutStreams(new BackdialError('agent-lost'));
    setImmediate(() => this.#finish());
  }

  #cutStreams(error: BackdialError): void {
    this.#leave();
    for (const stream of this.streams) stream.destroy(error);
  }

  #finish(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    if (this.#closing !== null) clearTimeout(this.#closing);
    this.#leave();
    this.#stay();
    const reason = this.#reason ?? 'lost';
    this.#resolve({ reason, detail: this.#detail });
    if (!this.#socket.destroyed) this.#socket.destroy();
  }
}

function isOfHttp2(error: NodeJS.ErrnoException): boolean {
  return error.code?.startsWith('ERR_HTTP2') === true;
}
