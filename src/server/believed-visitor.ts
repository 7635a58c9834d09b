import { peerAddress } from '../core/address.ts';
import { forwardedHop } from '../net/forwarded-hop.ts';
import type { NetworkList } from '../net/networks.ts';

/** Who sends a request, and what its target is told of the way that it came. */
export interface RequestSender {
  /** The visitor's address, `ip:port`; the port is 0 where it is not known. */
  readonly remote: string;
  /** The value of X-Forwarded-For. */
  readonly forwardedFor: string;
}

/** Most proxies in front of this server that are believed; entries further left say nothing any more. */
const MAX_HOPS = 32;

/**
 * The visitor behind proxies: `peer` (`ip:port`) itself, unless it is in `believed`; then the last of the X-Forwarded-For that
 * it sent, unless that is in `believed` too, and so on. What stands left of the first that is not believed anyone can have
 * written. An entry that is no address ends the way at the proxy that wrote it.
 */
export function believedVisitor(believed: NetworkList | null, peer: string, given: string): RequestSender {
  const address = peerAddress(peer);
  const own = address ?? peer;
  if (believed === null || given === '' || !believed.has(address)) return { remote: peer, forwardedFor: own };
  const entries = given.split(',').slice(-MAX_HOPS);
  let remote = peer;
  for (let entry = entries.pop(); entry !== undefined && believed.has(peerAddress(remote)); entry = entries.pop()) {
    const hop = forwardedHop(entry);
    if (hop === null) break;
    remote = hop;
  }
  return { remote, forwardedFor: `${given}, ${own}` };
}
