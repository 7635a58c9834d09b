import { z } from 'zod';
import type { LogDestination } from '../core/log-destination.ts';
import { anything, flag, oneOf } from './fields.ts';
import { type LogPlace, readDestinations } from './log-destinations.ts';
import type { Keys, Section } from './section.ts';

/** What is logged, and where (design 6.2, `log`). */
export interface LogSettings {
  /** Least level of the system log. Default `info`. */
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** Where the system log goes. Default: the console. */
  readonly system: readonly LogDestination[];
  /** Where the access log goes. Default: nowhere. */
  readonly access: readonly LogDestination[];
  /** Whether the access log has requests to domains that nobody serves. Default false; a server's only. */
  readonly disconnected: boolean;
}

const DEFAULTS: LogSettings = { level: 'info', system: ['console'], access: [], disconnected: false };

const AGENT_SCHEMA = z.strictObject({
  level: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
  system: anything(),
  access: anything(),
});

/** `log` of an agent's file. */
export const AGENT_LOG_KEYS = { schema: AGENT_SCHEMA, notYet: [] } satisfies Keys<typeof AGENT_SCHEMA>;

const SERVER_SCHEMA = AGENT_SCHEMA.extend({ disconnected: flag() });

/** `log` of a server's file. */
export const SERVER_LOG_KEYS = { schema: SERVER_SCHEMA, notYet: [] } satisfies Keys<typeof SERVER_SCHEMA>;

/** Reads `log`; `section` is null where the file has none. */
export async function readLog(
  section: Section | null,
  keys: typeof SERVER_LOG_KEYS | typeof AGENT_LOG_KEYS,
  place: LogPlace,
): Promise<LogSettings> {
  if (section === null) return DEFAULTS;
  const { system: _system, access: _access, ...words } = section.read<typeof SERVER_SCHEMA | typeof AGENT_SCHEMA>(keys);
  const settings = {
    ...DEFAULTS,
    ...words,
    ...(await destinationsOf(section, 'system', place)),
    ...(await destinationsOf(section, 'access', place)),
  };
  oneRotation(section, settings);
  return settings;
}

/** Null means nowhere; left out, the default. */
async function destinationsOf(section: Section, key: 'system' | 'access', place: LogPlace) {
  const child = section.child(key);
  if (child !== null) return { [key]: await readDestinations(child, place) };
  return (section.value as Record<string, unknown>)[key] === null ? { [key]: [] } : {};
}

/** Both logs may go to one file; then they must agree on what becomes of it. */
function oneRotation(section: Section, { system, access }: LogSettings): void {
  const seen = new Map<string, string>();
  for (const each of [...system, ...access]) {
    if (each === 'console' || !('file' in each)) continue;
    const settings = JSON.stringify(each);
    if ((seen.get(each.file) ?? settings) !== settings) {
      section.problem(`${each.file} is there twice, with other settings`, [
        access.includes(each) ? 'access' : 'system',
      ]);
    }
    seen.set(each.file, settings);
  }
}
