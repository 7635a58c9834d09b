import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { formatAddress, type ListenAddress, parseHostPort, type SocketAddress } from '../core/address.ts';
import { toHostName } from '../core/host-name.ts';

const MAX_PORT = 65_535;
/** Longest path that a Unix socket's address can hold on Linux, bytes. */
const MAX_SOCKET_PATH_BYTES = 107;
/** Listeners of another kind, which would otherwise be read as hosts: `fd:3`. */
const OTHER_KINDS = /^(?:fd|systemd|unix):/;

/** An IP address, or a host name in canonical form; null for anything else. */
function parseHost(text: string): string | null {
  return isIP(text) !== 0 ? text : toHostName(text);
}

/**
 * TCP addresses to listen at: `host:port`, `[v6]:port`; a port alone means every address of the machine. Null for
 * anything else.
 */
export function parseTcpListen(value: unknown): SocketAddress[] | null {
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || value < 1 || value > MAX_PORT) return null;
    return [
      { host: '0.0.0.0', port: value },
      { host: '::', port: value },
    ];
  }
  const parsed = typeof value === 'string' && !OTHER_KINDS.test(value) ? parseHostPort(value) : null;
  const host = parsed === null ? null : parseHost(parsed.host);
  return parsed === null || host === null ? null : [{ host, port: parsed.port }];
}

/** As {@link parseTcpListen}, and `unix:/path`; a relative path is relative to `folder`. */
export function parseListen(value: unknown, folder: string): SocketAddress[] | null {
  if (typeof value !== 'string' || !value.startsWith('unix:')) return parseTcpListen(value);
  const path = parseUnixPath(value, folder);
  return path === null ? null : [{ path }];
}

/** Highest descriptor that may be named; Linux allows no more in one process by default. */
const MAX_DESCRIPTOR = 1_048_575;
/** What systemd allows in `FileDescriptorName=`. */
const SOCKET_NAME = /^[\x21-\x39\x3b-\x7e]{1,255}$/;

/** What {@link parseHandedOver} understands, for messages. */
export const LISTEN_ADDRESSES = '"host:port", "[v6]:port", a port, "unix:/path", "systemd:name" or "fd:3"';

/** As {@link parseListen}, and sockets that are handed over: `fd:3`, `systemd:name`. */
export function parseHandedOver(value: unknown, folder: string): ListenAddress[] | null {
  const [, kind, rest = ''] = (typeof value === 'string' ? /^(fd|systemd):(.*)$/.exec(value) : null) ?? [];
  if (kind === undefined) return parseListen(value, folder);
  if (kind === 'systemd') return SOCKET_NAME.test(rest) ? [{ systemd: rest }] : null;
  const fd = /^(?:0|[1-9]\d{0,6})$/.test(rest) ? Number(rest) : Number.NaN;
  return fd <= MAX_DESCRIPTOR ? [{ fd }] : null;
}

/** The absolute path of `unix:path`, relative to `folder`; null when it is empty or too long for a socket. */
export function parseUnixPath(text: string, folder: string): string | null {
  const given = text.slice('unix:'.length);
  if (given === '' || given.includes('\0')) return null;
  const path = resolve(folder, given);
  return Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES ? null : path;
}

/** What is to be known beside what is allowed, where a Unix socket was given. */
export function unixHint(given: unknown): string {
  if (typeof given !== 'string' || !/^unix:./s.test(given)) return '';
  return `; the path of a Unix socket, from the root, has at most ${MAX_SOCKET_PATH_BYTES} bytes`;
}

/** A server to dial, `host` or `host:port` (443), as `host:port`; null for anything else. */
export function parseRemote(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const bare = isIP(value) === 6 ? `[${value}]` : value;
  const parsed = parseHostPort(bare) ?? parseHostPort(`${bare}:443`);
  const host = parsed === null ? null : parseHost(parsed.host);
  return parsed === null || host === null || parsed.port === 0 ? null : formatAddress({ host, port: parsed.port });
}
