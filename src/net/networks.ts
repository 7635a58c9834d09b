import { BlockList, isIP } from 'node:net';
import { type Network, plainAddress } from '../core/address.ts';

/**
 * Networks that an address can be in; none has no address at all. IPv4 and IPv6 are kept apart: `::/0` is every IPv6
 * address and no IPv4 one. An IPv4-mapped address is the IPv4 address that it holds.
 */
export class NetworkList {
  // node:net finds IPv4 addresses in IPv6 networks, so each family has a list of its own.
  readonly #ipv4 = new BlockList();
  readonly #ipv6 = new BlockList();

  /** `networks` have no {@link networkFault}. */
  constructor(networks: readonly Network[]) {
    for (const { address, prefix } of networks) {
      if (isIP(address) === 4) this.#ipv4.addSubnet(address, prefix, 'ipv4');
      else this.#ipv6.addSubnet(address, prefix, 'ipv6');
    }
  }

  /** Whether an IP address is in one of the networks; a zone (`fe80::1%eth0`) does not count. False for null and for what is no address. */
  has(address: string | null): boolean {
    const plain = plainAddress(address ?? '');
    if (!plain.includes(':')) return this.#ipv4.check(plain, 'ipv4');
    const zone = plain.indexOf('%');
    const address6 = zone === -1 ? plain : plain.slice(0, zone);
    return (MAPPED.check(address6, 'ipv6') ? this.#ipv4 : this.#ipv6).check(address6, 'ipv6');
  }
}

/** IPv4-mapped addresses, in whatever spelling. */
const MAPPED = new BlockList();
MAPPED.addSubnet('::ffff:0:0', 96, 'ipv6');

/** What is wrong with a network; null when nothing is. */
export function networkFault({ address, prefix }: Network): string | null {
  const family = address.includes('%') ? 0 : isIP(address);
  if (family === 0) return `${JSON.stringify(address)} is no IP address`;
  const bits = family === 4 ? 32 : 128;
  return Number.isInteger(prefix) && prefix >= 0 && prefix <= bits ? null : `the prefix ${prefix} is not 0 to ${bits}`;
}
