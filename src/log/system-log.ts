import pino, { type Logger } from 'pino';
import type { FanOut } from './fan-out.ts';
import type { LogLevel } from './levels.ts';

/**
 * Names under which a credential could travel. The code logs none; this is the second lock, for the day when someone
 * logs an object that holds one.
 */
const CREDENTIALS = ['secret', 'secrets', 'password', 'authorization', 'proxyAuthorization', 'cookie', 'key', 'token'];

/** The system log: what happens to listeners, tunnels and handshakes. */
export function createSystemLog(stream: FanOut, level: LogLevel): Logger {
  return pino(
    {
      level,
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: CREDENTIALS.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    },
    stream,
  );
}
