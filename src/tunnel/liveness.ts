import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { LivenessOptions } from './types.ts';

/** What the pings of a tunnel showed. */
export interface Liveness {
  /** Round trip of the last answered PING, of this side's or the peer's, ms; null before the first. */
  readonly rttMs: number | null;
  stop(): void;
}

type WatchOptions = LivenessOptions & { readonly onSilent: () => void };

/** A tunnel is pinged in one of so many turns of the interval, together with others: alone each would wake the process. */
const TURNS = 10;
/** A tunnel whose silence is waited for is looked at so often in the interval. */
const LOOKS = 10;
/** Looks that saw nothing new and count as silence: the peer's PING may come late by the last of them. */
const QUIET_LOOKS = LOOKS + 1;
/** How often a side that need not send any PING, and is told no round trip, does so all the same to measure it, ms. */
const ROUND_TRIP_INTERVAL_MS = 300_000;
/** The first time sooner: all may have been busy when the tunnel was opened, ms. */
const FIRST_ROUND_TRIP_MS = 60_000;

/**
 * Watches the far end of a tunnel by an HTTP/2 PING each `pingIntervalMs` and calls `onSilent`, once, when a PING went unanswered
 * for its deadline and no other byte arrived in that time. TCP keepalive could not tell: the kernel of a stopped process keeps
 * acknowledging. Worst case from the freeze to the call: `pingIntervalMs` + `pingTimeoutMs`.
 */
export function watchLiveness(session: Http2Session, socket: Socket, options: WatchOptions): Liveness {
  const pinger = new Pinger(session, socket, options);
  return watched(
    pinger,
    inTurns(options.pingIntervalMs, TURNS, () => pinger.send()),
  );
}

/**
 * As {@link watchLiveness}, for a side whose peer sends a PING that often: what arrives is life, so that one goes out only where
 * nothing arrived for `pingIntervalMs` and a tenth: the peer's next PING is due by then, and tells the round trip. It costs a server of thousands of idle
 * tunnels more to answer single PINGs than to send them in turns. Worst case from the freeze to the call: 6/5 of
 * `pingIntervalMs` + `pingTimeoutMs`.
 */
export function watchSilence(session: Http2Session, socket: Socket, options: WatchOptions): Liveness {
  const pinger = new Pinger(session, socket, options);
  const lookMs = options.pingIntervalMs / LOOKS;
  const mostLooks = ROUND_TRIP_INTERVAL_MS / lookMs;
  let seenBytes = 0;
  let quietLooks = 0;
  let looks = mostLooks - FIRST_ROUND_TRIP_MS / lookMs;
  const look = (): void => {
    const bytes = socket.bytesRead;
    quietLooks = bytes === seenBytes ? quietLooks + 1 : 0;
    seenBytes = bytes;
    looks += 1;
    if (quietLooks < QUIET_LOOKS && looks < mostLooks) return;
    quietLooks = 0;
    looks = 0;
    pinger.send();
  };
  session.on('ping', (payload: Buffer) => {
    const rttMs = readRoundTrip(payload);
    if (rttMs === null) return;
    pinger.rttMs = rttMs;
    looks = 0;
  });
  return watched(pinger, inTurns(lookMs, 1, look));
}

function watched(pinger: Pinger, unwatch: () => void): Liveness {
  pinger.send();
  return {
    get rttMs() {
      return pinger.rttMs;
    },
    stop() {
      unwatch();
      pinger.stop();
    },
  };
}

/** One PING at a time, and what becomes of it. */
class Pinger {
  rttMs: number | null = null;
  readonly #session: Http2Session;
  readonly #socket: Socket;
  readonly #options: WatchOptions;
  #answered = true;
  #stopped = false;
  /** Which wait counts; earlier ones are over. */
  #wait = 0;
  #bytesBefore = 0;

  constructor(session: Http2Session, socket: Socket, options: WatchOptions) {
    this.#session = session;
    this.#socket = socket;
    this.#options = options;
  }

  /** Does nothing while one is on its way. */
  send(): void {
    if (!this.#answered || this.#session.destroyed) return;
    this.#answered = !sendPing(this.#session, this.rttMs, this.#sessionOnAnswer);
    if (!this.#answered) this.#awaitByte(this.#socket.bytesRead);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Also that of a SETTINGS, which measures nothing. */
  readonly #sessionOnAnswer = (error?: Error | null, roundTripMs?: number): void => {
    this.#answered = true;
    if (error === null && roundTripMs !== undefined) this.rttMs = roundTripMs;
  };

  #awaitByte(bytesBefore: number): void {
    this.#bytesBefore = bytesBefore;
    this.#wait += 1;
    waitTogether(this, this.#wait, this.#options.pingTimeoutMs);
  }

  /** To be called once a wait has had its time. */
  judge(wait: number): void {
    if (this.#answered || this.#stopped || wait !== this.#wait) return;
    const bytesNow = this.#socket.bytesRead;
    if (bytesNow !== this.#bytesBefore) this.#awaitByte(bytesNow);
    else this.#options.onSilent();
  }
}

/** Those that wait from this turn of the event loop on, by how long. */
const waiting = new Map<number, { readonly pinger: Pinger; readonly wait: number }[]>();

/** Has it judged after so long. PINGs go out together: one timer for all of them. */
function waitTogether(pinger: Pinger, wait: number, ms: number): void {
  const others = waiting.get(ms);
  if (others !== undefined) {
    others.push({ pinger, wait });
    return;
  }
  const all = [{ pinger, wait }];
  waiting.set(ms, all);
  queueMicrotask(() => waiting.delete(ms));
  const timer = setTimeout(() => {
    // A process that stood still runs its timers first, and reads what waits for it afterwards.
    setImmediate(() => {
      for (const each of all) each.pinger.judge(each.wait);
    });
  }, ms);
  timer.unref();
}

/** False when nothing was sent. */
function sendPing(
  session: Http2Session,
  rttMs: number | null,
  onAnswer: (error?: Error | null, roundTripMs?: number) => void,
): boolean {
  // A session that is leaving may still have streams, and its peer may freeze then, but Node sends no PING on it: `ping` says
  // nothing and calls back at once. An empty SETTINGS has to be acknowledged, too (RFC 9113, section 6.5).
  if (session.closed) {
    session.settings({}, () => onAnswer());
    return true;
  }
  // `ping` throws on a destroyed session and returns false when too many are outstanding.
  return session.ping(writeRoundTrip(rttMs), onAnswer);
}

/** What a PING of a tunnel says in its eight bytes: these four, and the round trip that its sender measured last, us. 0: none yet. */
const PAYLOAD_TAG = 'rtt:';
/** Copied as it is sent. */
const payload = Buffer.from(`${PAYLOAD_TAG}0000`, 'latin1');

function writeRoundTrip(rttMs: number | null): Buffer {
  payload.writeUInt32BE(Math.min(Math.round((rttMs ?? 0) * 1_000), 0xffff_ffff), PAYLOAD_TAG.length);
  return payload;
}

/** Null where the peer tells none. */
function readRoundTrip(payload: Buffer): number | null {
  if (payload.toString('latin1', 0, PAYLOAD_TAG.length) !== PAYLOAD_TAG) return null;
  const micros = payload.readUInt32BE(PAYLOAD_TAG.length);
  return micros === 0 ? null : micros / 1_000;
}

/**
 * So many that came one after the other share a turn before the next one is filled: their memory lies side by side, which is
 * most of what a PING costs.
 */
const NEIGHBOURS = 64;

/** What is done each `intervalMs`, in turns: one timer for all. */
interface Round {
  readonly turns: readonly Set<() => void>[];
  readonly timer: NodeJS.Timeout;
  /** Which turn is being filled. */
  filling: number;
}

const rounds = new Map<string, Round>();

/** Does `work` each `intervalMs`, in one of so many turns. Gives what ends that. */
function inTurns(intervalMs: number, count: number, work: () => void): () => void {
  const key = `${intervalMs}/${count}`;
  const round = rounds.get(key) ?? startRound(intervalMs, count);
  rounds.set(key, round);
  const turn = turnOf(round);
  turn.add(work);
  return () => {
    turn.delete(work);
    if (rounds.get(key) !== round || round.turns.some(({ size }) => size > 0)) return;
    clearInterval(round.timer);
    rounds.delete(key);
  };
}

function turnOf(round: Round): Set<() => void> {
  const sizes = round.turns.map(({ size }) => size);
  const least = Math.min(...sizes);
  if ((sizes[round.filling] ?? 0) - least >= NEIGHBOURS) round.filling = sizes.indexOf(least);
  return round.turns[round.filling] as Set<() => void>;
}

function startRound(intervalMs: number, count: number): Round {
  const turns = Array.from({ length: count }, () => new Set<() => void>());
  let next = 0;
  const timer = setInterval(() => {
    next = (next + 1) % count;
    for (const work of turns[next] ?? []) work();
  }, intervalMs / count);
  timer.unref();
  return { turns, timer, filling: 0 };
}
