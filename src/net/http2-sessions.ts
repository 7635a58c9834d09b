import { type ClientHttp2Session, connect } from 'node:http2';
import type { Socket } from 'node:net';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { Deadline } from './deadline.ts';
import type { HeaderRules } from './header-rules.ts';
import { type ExchangeEnd, Http2Upstream } from './http2-upstream.ts';
import { LateAnswers } from './late-answers.ts';
import { FREE_MS } from './upstream-pool.ts';

/** The path to a target is short. Connection windows bound nothing (Node gives them back at once); they only have to be larger. */
const STREAM_WINDOW_BYTES = 262_144;
const CONNECTION_WINDOW_BYTES = 4_194_304;
/** Of a response head, as over HTTP/1.1. */
const MAX_HEAD_BYTES = 65_536;
const MAX_HEAD_LINES = 512;

interface Session {
  readonly session: ClientHttp2Session;
  readonly idle: Deadline;
  readonly lateAnswers: LateAnswers;
  streams: number;
  /** Exchanges that the target takes at the same time. 0: it has not said how many. */
  most: number;
}

/** The HTTP/2 sessions with one target. Each carries as many exchanges at the same time as the target allows. */
export class Http2Sessions {
  readonly #rules: HeaderRules;
  readonly #sessions = new Set<Session>();
  #closed = false;

  constructor(rules: HeaderRules) {
    this.#rules = rules;
  }

  /** Whether another exchange can begin on a session that is there. */
  get hasRoom(): boolean {
    return this.#withRoom() !== undefined;
  }

  /** The way of one exchange; null where no session has room. */
  open(): Http2Upstream | null {
    const found = this.#withRoom();
    if (found === undefined) return null;
    found.idle.disarm();
    found.streams += 1;
    return new Http2Upstream(found.session, this.#rules, (end) => this.#leave(found, end));
  }

  /**
   * Begins a session on a connection whose ALPN chose `h2`. Owns the socket. Resolves when the target has said how many
   * exchanges it takes: what came before that, more than it takes, it would refuse. `timeoutMs` starts now, ends with its
   * SETTINGS, which come before all else (RFC 9113, section 3.4). Fails with a `target-...` code; the connection is gone then.
   */
  adopt(socket: Socket, timeoutMs: number): Promise<void> {
    const session = connect('https://target', {
      createConnection: () => socket,
      maxHeaderListPairs: MAX_HEAD_LINES,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES, maxHeaderListSize: MAX_HEAD_BYTES },
    });
    const idle = new Deadline(() => session.close());
    const entry: Session = { session, idle, lateAnswers: new LateAnswers(), streams: 0, most: 0 };
    this.#sessions.add(entry);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const greeting = new Deadline(() => {
      reject(new BackdialError('target-timeout', `its HTTP/2 SETTINGS did not come within ${timeoutMs} ms`));
      session.destroy();
    });
    greeting.arm(timeoutMs);
    session.on('remoteSettings', ({ maxConcurrentStreams = 0 }) => {
      greeting.close();
      entry.most = maxConcurrentStreams;
      if (entry.most > 0) resolve();
      else if (entry.streams === 0) session.destroy(new BackdialError('target-invalid', 'it takes no HTTP/2 streams'));
    });
    // Its streams fail, and say so.
    session.on('error', (error) => reject(asBackdialError(error, 'target-lost')));
    session.once('connect', () => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    session.once('goaway', () => this.#sessions.delete(entry));
    session.once('close', () => {
      idle.close();
      greeting.close();
      this.#sessions.delete(entry);
      reject(new BackdialError('target-lost', 'the HTTP/2 session was closed before its SETTINGS came'));
    });
    idle.arm(FREE_MS);
    return promise;
  }

  /** What is open ends by itself. A session that is just beginning takes who waits for it, and ends with its last exchange. */
  close(): void {
    this.#closed = true;
    for (const entry of this.#sessions) {
      if (entry.most === 0) continue;
      entry.session.close();
      this.#sessions.delete(entry);
    }
  }

  #leave(entry: Session, end: ExchangeEnd): void {
    entry.streams -= 1;
    // Perhaps nobody is there any more: the next exchange finds out with a new session.
    if (end === 'silent') this.#sessions.delete(entry);
    // Before Node ends it, with all that is open in it.
    if (end === 'unanswered' && !entry.lateAnswers.take()) this.#sessions.delete(entry);
    if (entry.streams > 0) return;
    if (this.#sessions.has(entry) && !this.#closed) entry.idle.arm(FREE_MS);
    else setImmediate(() => entry.session.close());
  }

  #withRoom(): Session | undefined {
    for (const entry of this.#sessions) {
      const { session, streams, most } = entry;
      if (!session.closed && !session.destroyed && streams < most) return entry;
    }
    return undefined;
  }
}
