import { z } from 'zod';
import { flag, listOf, oneOf } from './fields.ts';
import type { Keys, Section } from './section.ts';

/** What is logged, and where (design 6.2, `log`). */
export interface LogSettings {
  /** Least level of the system log. Default `info`. */
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** Where the system log goes. Default: the console. */
  readonly system: readonly 'console'[];
  /** Where the access log goes. Default: nowhere. */
  readonly access: readonly 'console'[];
  /** Whether the access log has requests to domains that nobody serves. Default false; a server's only. */
  readonly disconnected: boolean;
}

const DEFAULTS: LogSettings = { level: 'info', system: ['console'], access: [], disconnected: false };

const destinations = () =>
  listOf('"console" or null (files and syslog are not supported by this version yet)', (value) => {
    if (value === null) return [];
    return value === 'console' ? ['console' as const] : null;
  });

const AGENT_SCHEMA = z.strictObject({
  level: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
  system: destinations(),
  access: destinations(),
});

/** `log` of an agent's file. */
export const AGENT_LOG_KEYS = { schema: AGENT_SCHEMA, notYet: [] } satisfies Keys<typeof AGENT_SCHEMA>;

const SERVER_SCHEMA = AGENT_SCHEMA.extend({ disconnected: flag() });

/** `log` of a server's file. */
export const SERVER_LOG_KEYS = { schema: SERVER_SCHEMA, notYet: [] } satisfies Keys<typeof SERVER_SCHEMA>;

/** Reads `log`; `section` is null where the file has none. */
export function readLog(section: Section | null, keys: typeof SERVER_LOG_KEYS | typeof AGENT_LOG_KEYS): LogSettings {
  return { ...DEFAULTS, ...section?.read<typeof SERVER_SCHEMA | typeof AGENT_SCHEMA>(keys) };
}
