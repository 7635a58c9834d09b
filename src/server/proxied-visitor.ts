import type { Socket } from 'node:net';
import { formatPeer, peerAddress } from '../core/address.ts';
import { NetworkList } from '../net/networks.ts';
import { readProxyHeader } from '../net/read-proxy-header.ts';
import type { Admission } from './admission.ts';
import type { ResolvedListener } from './listeners.ts';

/** A connection to a front door that expects PROXY protocol. */
export interface ProxiedConnection {
  readonly raw: Socket;
  /** The proxy, `ip:port`; `unix` on a Unix socket, where everybody is believed. */
  readonly proxy: string;
  readonly listener: Pick<ResolvedListener, 'proxyProtocol'>;
  /** For the header; starts now. 0: none. */
  readonly deadlineMs: number;
}

/** By the networks of a listener, which are the same object as long as they do not change. */
const lists = new WeakMap<ResolvedListener['proxyProtocol'], NetworkList>();

/**
 * Finds out who comes through a proxy: reads its header and counts the visitor against the limit of its address. `onVisitor` gets
 * the visitor as `ip:port`, in the turn of the read, the socket paused behind the header. A proxy that is not believed, and
 * a header that is missing, wrong or late, close the connection and are told as refused.
 */
export function findVisitor(
  { raw, proxy, listener, deadlineMs }: ProxiedConnection,
  admission: Admission,
  onVisitor: (remote: string) => void,
): void {
  const refuse = (reason: 'proxy-untrusted' | 'proxy-header-invalid' | 'proxy-header-timeout', detail: string) => {
    raw.destroy();
    admission.refused({ remote: proxy, reason, detail, name: null });
  };
  const address = peerAddress(proxy);
  if (address !== null && !listOf(listener.proxyProtocol).has(address)) {
    refuse('proxy-untrusted', 'not in `proxyProtocol` of the listener');
    return;
  }
  readProxyHeader(raw, deadlineMs, (read) => {
    if (read.kind === 'closed') raw.destroy();
    else if (read.kind === 'refused') refuse(read.code, read.problem);
    else {
      const { source } = read;
      const visitor = source === null ? proxy : formatPeer(source.address, source.port);
      if (admission.admitBehind(raw, peerAddress(visitor))) onVisitor(visitor);
    }
  });
}

function listOf(networks: ResolvedListener['proxyProtocol']): NetworkList {
  const known = lists.get(networks);
  if (known !== undefined) return known;
  const made = new NetworkList(networks);
  lists.set(networks, made);
  return made;
}
