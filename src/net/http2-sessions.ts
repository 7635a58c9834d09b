import { type ClientHttp2Session, connect } from 'node:http2';
import type { Socket } from 'node:net';
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
/** What a target that has not said its limit yet allows, at the least (RFC 9113, section 6.5.2). */
const FIRST_STREAMS = 100;

interface Session {
  readonly session: ClientHttp2Session;
  readonly idle: Deadline;
  readonly lateAnswers: LateAnswers;
  streams: number;
}

/** The HTTP/2 sessions with one target. Each carries as many exchanges at the same time as the target allows. */
export class Http2Sessions {
  readonly #rules: HeaderRules;
  readonly #sessions = new Set<Session>();

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

  /** Begins a session on a connection whose ALPN chose `h2`. Owns the socket. */
  adopt(socket: Socket): void {
    const session = connect('https://target', {
      createConnection: () => socket,
      maxHeaderListPairs: MAX_HEAD_LINES,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES, maxHeaderListSize: MAX_HEAD_BYTES },
    });
    // Its streams fail, and say so.
    session.on('error', () => {});
    const idle = new Deadline(() => session.close());
    const entry: Session = { session, idle, lateAnswers: new LateAnswers(), streams: 0 };
    this.#sessions.add(entry);
    session.once('connect', () => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    session.once('goaway', () => this.#sessions.delete(entry));
    session.once('close', () => {
      idle.close();
      this.#sessions.delete(entry);
    });
    idle.arm(FREE_MS);
  }

  /** Nothing new begins; what is open ends by itself. */
  close(): void {
    for (const { session } of this.#sessions) session.close();
    this.#sessions.clear();
  }

  #leave(entry: Session, end: ExchangeEnd): void {
    entry.streams -= 1;
    // Perhaps nobody is there any more: the next exchange finds out with a new session.
    if (end === 'silent') this.#sessions.delete(entry);
    // Before Node ends it, with all that is open in it.
    if (end === 'unanswered' && !entry.lateAnswers.take()) this.#sessions.delete(entry);
    if (entry.streams > 0) return;
    if (this.#sessions.has(entry)) entry.idle.arm(FREE_MS);
    else setImmediate(() => entry.session.close());
  }

  #withRoom(): Session | undefined {
    for (const entry of this.#sessions) {
      const { session, streams } = entry;
      const most = session.remoteSettings?.maxConcurrentStreams ?? FIRST_STREAMS;
      if (!session.closed && !session.destroyed && streams < most) return entry;
    }
    return undefined;
  }
}
