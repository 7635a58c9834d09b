import { BlockList, isIP } from 'node:net';
import { plainAddress, type SocketAddress } from './address.ts';

const networks = new BlockList();
networks.addSubnet('127.0.0.0', 8, 'ipv4');
networks.addAddress('::1', 'ipv6');

/** True for an IP address of this machine's loopback, IPv4-mapped ones included; false for every name. */
export function isLoopback(host: string): boolean {
  const plain = plainAddress(host);
  const family = isIP(plain);
  return family !== 0 && networks.check(plain, family === 4 ? 'ipv4' : 'ipv6');
}

/** True for an address that only this machine reaches: loopback, `localhost`, or a Unix socket. */
export function isLocalAddress(address: SocketAddress): boolean {
  return 'path' in address || address.host === 'localhost' || isLoopback(address.host);
}
