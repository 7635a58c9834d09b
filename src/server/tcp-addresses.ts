import { formatAddress, type SocketAddress } from '../core/address.ts';
import { BackdialError } from '../core/errors.ts';
import type { ResolvedDomain } from './resolve-options.ts';

/** A TCP address that a domain listens on. */
export interface TcpAddress {
  readonly domain: string;
  readonly address: SocketAddress;
}

/** Those of all domains: what can be opened, and why the rest cannot. */
export interface TcpAddresses {
  readonly open: readonly TcpAddress[];
  /** `listen-failed`: the same address was asked for before. */
  readonly refused: readonly BackdialError[];
}

/** Every TCP address of the domains. Twice the same is seen before the kernel does it, which cannot say whose the other one is. */
export function tcpAddresses(domains: Iterable<Pick<ResolvedDomain, 'name' | 'listen'>>): TcpAddresses {
  const open: TcpAddress[] = [];
  const refused: BackdialError[] = [];
  const byPort = new Map<number | string, TcpAddress[]>();
  for (const { name, listen } of domains) {
    for (const address of listen) {
      const key = 'path' in address ? address.path : address.port;
      const others = byPort.get(key) ?? [];
      const other = others.find((earlier) => overlap(earlier.address, address));
      if (other === undefined) {
        open.push({ domain: name, address });
        byPort.set(key, [...others, { domain: name, address }]);
      } else refused.push(askedTwice(other.domain, { domain: name, address }));
    }
  }
  return { open, refused };
}

function askedTwice(other: string, { domain, address }: TcpAddress): BackdialError {
  const by = other === domain ? `twice by ${other}` : `by ${other} and by ${domain}`;
  return new BackdialError(
    'listen-failed',
    `${formatAddress(address)} is asked for ${by}; give each its own address or port`,
  );
}

const ANY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

function overlap(a: SocketAddress, b: SocketAddress): boolean {
  if ('path' in a || 'path' in b) return 'path' in a && 'path' in b && a.path === b.path;
  // The system chooses another port each time.
  if (a.port === 0 || a.port !== b.port) return false;
  if (a.host === b.host) return true;
  const sameFamily = a.host.includes(':') === b.host.includes(':');
  return sameFamily && (ANY_ADDRESS.has(a.host) || ANY_ADDRESS.has(b.host));
}
