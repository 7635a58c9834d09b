import pino, { type Logger } from 'pino';
import type { Destination } from './console.ts';
import type { LogLevel } from './levels.ts';

/**
 * Names under which a credential could travel. The code logs none; this is the second lock, for the day when someone
 * logs an object that holds one.
 */
const CREDENTIALS = ['secret', 'secrets', 'password', 'authorization', 'proxyAuthorization', 'cookie', 'key', 'token'];

/** The system log: what happens to listeners, tunnels and handshakes. */
export function createSystemLog(destinations: readonly Destination[], level: LogLevel): Logger {
  return pino(
    {
      level,
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: CREDENTIALS.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    },
    pino.multistream(destinations.map((stream) => ({ level: 'trace' as const, stream }))),
  );
}
