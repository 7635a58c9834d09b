import type { IncomingMessage } from 'node:http';
import type { Http2Stream } from 'node:http2';
import type { Duplex, Readable } from 'node:stream';

/**
 * How an end looked from outside: `clean` (FIN, or a complete HTTP message), `reset` (RST), `truncated` (an HTTP message
 * that ended before its framing says so).
 */
export type Verdict = 'clean' | 'reset' | 'truncated';

export interface Ending {
  readonly verdict: Verdict;
  /** What the platform called it; null for a clean end. */
  readonly code: string | null;
}

/** What the platform calls a connection that the other side has cut. */
const RESET_CODES = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ERR_HTTP2_STREAM_ERROR']);

export const CLEAN: Ending = { verdict: 'clean', code: null };

/** A cut as Node reported it: a reset, or something that only looks like a connection that stopped in the middle. */
export function endingOfError(error: NodeJS.ErrnoException): Ending {
  return { verdict: RESET_CODES.has(error.code ?? '') ? 'reset' : 'truncated', code: error.code ?? error.message };
}

/** How the other side of a byte stream ends. Attaches `error`; the stream must be read by somebody. Never rejects. */
export function watchEnding(stream: Duplex): Promise<Ending> {
  return new Promise((resolve) => {
    stream.on('error', (error) => resolve(endingOfError(error)));
    // HTTP/2: RST_STREAM with CANCEL is no error to Node; it says `aborted`, and then `end` as if all were well.
    stream.on('aborted', () => resolve({ verdict: 'reset', code: 'aborted' }));
    stream.on('end', () => resolve(CLEAN));
    stream.on('close', () => resolve({ verdict: 'truncated', code: 'closed' }));
  });
}

/**
 * How an HTTP message ends: `clean` only when all of it came, `reset` or `truncated` (a distinction that says only what
 * Node made of it) when it did not. `message` is what HTTP/1.1 calls an IncomingMessage, or an HTTP/2 stream.
 */
export function watchMessage(message: Readable): Promise<Ending> {
  const http1 = message as Partial<IncomingMessage>;
  const http2 = message as Partial<Http2Stream>;
  return new Promise((resolve) => {
    const cut = (code: string) => resolve({ verdict: 'truncated', code });
    message.on('error', (error) => resolve(endingOfError(error)));
    message.on('aborted', () => cut('aborted'));
    message.on('end', () => {
      const whole = http2.session === undefined ? http1.complete : http2.rstCode === 0 && !http2.aborted;
      if (whole) resolve(CLEAN);
      else cut('end before the end of the message');
    });
    message.on('close', () => cut('closed'));
  });
}
