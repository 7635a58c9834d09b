import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { LivenessOptions } from './types.ts';

/** What the pings of a tunnel showed. */
export interface Liveness {
  /** Round trip of the last answered PING, ms; null before the first. */
  readonly rttMs: number | null;
  stop(): void;
}

/**
 * Watches the far end of a tunnel by HTTP/2 PING and calls `onSilent`, once, when a PING went unanswered for its deadline
 * and no other byte arrived in that time. TCP keepalive could not tell: the kernel of a stopped process keeps
 * acknowledging. Worst case from the freeze to the call: `pingIntervalMs` + `pingTimeoutMs`.
 */
export function watchLiveness(
  session: Http2Session,
  socket: Socket,
  options: LivenessOptions & { onSilent: () => void },
): Liveness {
  let rttMs: number | null = null;
  let waiting: NodeJS.Timeout | null = null;
  let answered = true;

  const sessionOnAnswer = (roundTripMs: number | null): void => {
    answered = true;
    if (waiting !== null) clearTimeout(waiting);
    waiting = null;
    if (roundTripMs !== null) rttMs = roundTripMs;
  };
  const sendPing = (): void => {
    if (!answered || session.destroyed) return;
    answered = !send(session, sessionOnAnswer);
    if (!answered) awaitByte(socket.bytesRead);
  };
  const awaitByte = (bytesBefore: number): void => {
    waiting = setTimeout(() => {
      waiting = null;
      const bytesNow = socket.bytesRead;
      if (bytesNow !== bytesBefore) awaitByte(bytesNow);
      else options.onSilent();
    }, options.pingTimeoutMs);
    waiting.unref();
  };

  const interval = setInterval(sendPing, options.pingIntervalMs);
  interval.unref();
  sendPing();
  return {
    get rttMs() {
      return rttMs;
    },
    stop() {
      clearInterval(interval);
      if (waiting !== null) clearTimeout(waiting);
    },
  };
}

/** False when nothing was sent. `onAnswer` gets the round trip; null where it was not measured. */
function send(session: Http2Session, onAnswer: (roundTripMs: number | null) => void): boolean {
  // A session that is leaving may still have streams, and its peer may freeze then, but Node sends no PING on it: `ping` says
  // nothing and calls back at once. An empty SETTINGS has to be acknowledged, too (RFC 9113, section 6.5).
  if (session.closed) {
    session.settings({}, () => onAnswer(null));
    return true;
  }
  // `ping` throws on a destroyed session and returns false when too many are outstanding.
  return session.ping((error, duration) => onAnswer(error === null ? duration : null));
}
