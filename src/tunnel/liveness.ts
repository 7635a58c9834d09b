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

  const sendPing = (): void => {
    if (!answered || session.destroyed || session.closed) return;
    answered = false;
    // `ping` throws on a destroyed session and returns false when too many are outstanding.
    const sent = session.ping((error, duration) => {
      answered = true;
      if (waiting !== null) clearTimeout(waiting);
      waiting = null;
      if (error === null) rttMs = duration;
    });
    if (!sent) answered = true;
    else awaitByte(socket.bytesRead);
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
