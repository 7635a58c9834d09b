import type { ServerOptions } from '../index.ts';

type Environment = Record<string, string | undefined>;

/** The first descriptor that systemd hands over. */
const FIRST = 3;
const MAX_SOCKETS = 1_024;

/**
 * The sockets that a service manager handed to this process (sd_listen_fds), by name; `unknown` for those that have none. Takes
 * what says so out of `env`: children of this process were handed nothing.
 */
export function takeHandedOver(env: Environment, pid: number): NonNullable<ServerOptions['sockets']> {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = '' } = env;
  for (const key of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[key];
  const count = /^\d{1,4}$/.test(LISTEN_FDS ?? '') ? Math.min(Number(LISTEN_FDS), MAX_SOCKETS) : 0;
  if (LISTEN_PID !== String(pid)) return {};
  const names = LISTEN_FDNAMES.split(':');
  const sockets = new Map<string, number[]>();
  for (let index = 0; index < count; index += 1) {
    const name = names[index] || 'unknown';
    sockets.set(name, [...(sockets.get(name) ?? []), FIRST + index]);
  }
  return Object.fromEntries(sockets);
}
