import { isIPv6 } from 'node:net';

/** Where to listen or to connect: a TCP address or a Unix socket. */
export type SocketAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** Where to listen: an address, or a socket that was handed over and listens already, by its descriptor or by its name. */
export type ListenAddress = SocketAddress | { readonly fd: number } | { readonly systemd: string };

/** Who owns a Unix socket's file; null leaves that as the process makes it. */
export interface SocketOwner {
  readonly uid: number | null;
  readonly gid: number | null;
}

/** The IP addresses whose first `prefix` bits are those of `address`. */
export interface Network {
  readonly address: string;
  /** 0 (every address of the family) to 32, or 128 for IPv6. */
  readonly prefix: number;
}

/** `host:port` or `[v6]:port`, with a zone too (`[fe80::1%eth0]:443`); the port alone where `defaultHost` is given. Null when it is neither. */
export function parseHostPort(text: string, defaultHost?: string): { host: string; port: number } | null {
  const bare = /^\d{1,5}$/.test(text) && defaultHost !== undefined ? `${bracket(defaultHost)}:${text}` : text;
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s/@]+)):(\d{1,5})$/.exec(bare);
  if (match === null || (match[1] !== undefined && !isIPv6(match[1]))) return null;
  const host = match[1] ?? match[2] ?? '';
  const port = Number(match[3]);
  return port > 65_535 ? null : { host, port };
}

/** `host:port`, an IPv6 host in brackets; a Unix socket as `unix:/path`; one that was handed over as `fd:3`, `systemd:name`. */
export function formatAddress(address: ListenAddress): string {
  if ('fd' in address) return `fd:${address.fd}`;
  if ('systemd' in address) return `systemd:${address.systemd}`;
  return 'path' in address ? `unix:${address.path}` : `${bracket(address.host)}:${address.port}`;
}

/** The peer of a socket as `ip:port`, IPv4-mapped IPv6 addresses as IPv4; `unix` where there is no address. */
export function formatPeer(address: string | undefined, port: number | undefined): string {
  if (address === undefined || address === '') return 'unix';
  return `${bracket(plainAddress(address))}:${port ?? 0}`;
}

/** The IP address of a peer that {@link formatPeer} wrote; null where there is none. */
export function peerAddress(peer: string): string | null {
  const colon = peer.lastIndexOf(':');
  if (colon === -1) return null;
  return peer.startsWith('[') ? peer.slice(1, colon - 1) : peer.slice(0, colon);
}

/** An IP address without the IPv4-mapped prefix. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

function bracket(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
