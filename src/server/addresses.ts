import type { SocketAddress } from '../core/address.ts';

/** Where a server listens, with the ports that the system chose. */
export interface ServerAddresses {
  readonly frontDoor: readonly SocketAddress[];
  readonly tcp: readonly { readonly domain: string; readonly address: SocketAddress }[];
  readonly redirect: readonly SocketAddress[];
  readonly proxy: readonly SocketAddress[];
}
