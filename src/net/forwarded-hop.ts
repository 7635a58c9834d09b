import { isIP } from 'node:net';
import { formatPeer, parseHostPort } from '../core/address.ts';

/**
 * An entry of X-Forwarded-For as proxies write them: an IP address, an IPv6 one in brackets or bare, with or without a port. As
 * `ip:port`, with port 0 where it has none; null for anything else.
 */
export function forwardedHop(entry: string): string | null {
  const text = entry.trim();
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (isIP(bare) !== 0) return formatPeer(bare, 0);
  const parsed = parseHostPort(text);
  return parsed === null || isIP(parsed.host) === 0 ? null : formatPeer(parsed.host, parsed.port);
}
