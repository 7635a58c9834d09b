import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Network } from '../core/address.ts';
import { mismatch } from './fields.ts';
import type { Section } from './section.ts';

const ALLOWED = 'a network such as "10.0.0.0/8" or "2001:db8::/32", or an IP address';
/** Bits in front of the IPv4 address in an IPv4-mapped one. */
const MAPPED_BITS = 96;
/** More are another program's to filter. */
const MAX_NETWORKS = 10_000;

/** Reads a list of networks, or one; none gives an empty list. What is wrong is a problem of its own place. */
export function readNetworks(section: Section | null): Network[] {
  const items = section?.items() ?? [];
  if (items.length > MAX_NETWORKS) {
    section?.problem(`found ${items.length} networks; at most ${MAX_NETWORKS} are allowed`);
    return [];
  }
  return items.flatMap((item) => {
    const network = parseNetwork(item.value);
    if (typeof network !== 'string') return [network];
    item.problem(network);
    return [];
  });
}

/**
 * A network in CIDR notation; a bare address is that one host, and an IPv4-mapped one is IPv4. What is wrong with it, as a
 * sentence, where it is none: only addresses of four decimal numbers or true IPv6 count, and no bits behind the prefix.
 */
export function parseNetwork(value: unknown): Network | string {
  const match = typeof value === 'string' ? /^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(value) : null;
  const text = match?.[1] ?? '';
  // ipaddr.js alone takes 010.0.0.1 for 8.0.0.1, 0x7f000001 and 10 for IPv4 addresses, and ::1.2.3.4 for an IPv4-mapped one.
  if (match === null || isIP(text) === 0 || text.includes('%') || /^::\d+\./.test(text))
    return mismatch(value, ALLOWED);
  const given = ipaddr.parse(text);
  const bits = given.kind() === 'ipv4' ? 32 : 128;
  const prefix = match[2] === undefined ? bits : Number(match[2]);
  if (prefix > bits) return mismatch(value, `a prefix of 0 to ${bits}`);
  const isMapped = given instanceof ipaddr.IPv6 && given.isIPv4MappedAddress();
  if (isMapped && prefix < MAPPED_BITS)
    return mismatch(value, `a prefix of ${MAPPED_BITS} to 128 with an IPv4-mapped address`);
  return isMapped ? networkOf(value, given.toIPv4Address(), prefix - MAPPED_BITS) : networkOf(value, given, prefix);
}

function networkOf(value: unknown, given: ipaddr.IPv4 | ipaddr.IPv6, prefix: number): Network | string {
  const address = given.toString();
  const base = baseOf(given, `${address}/${prefix}`);
  if (base === address) return { address, prefix };
  return mismatch(value, `"${base}/${prefix}" for the network, "${address}" for the one host`);
}

/** `10.1.2.3/8` as `10.0.0.0/8`: the network that an address is in. Any other text as it is. */
export function networkIn(text: string): string {
  try {
    const [given, prefix] = ipaddr.parseCIDR(text);
    return `${baseOf(given, `${given.toString()}/${prefix}`)}/${prefix}`;
  } catch {
    return text;
  }
}

function baseOf(given: ipaddr.IPv4 | ipaddr.IPv6, cidr: string): string {
  const family = given.kind() === 'ipv4' ? ipaddr.IPv4 : ipaddr.IPv6;
  return family.networkAddressFromCIDR(cidr).toString();
}
