import type { TunnelInfo } from '../core/events.ts';

/** Counts the tunnels that new streams may use, by domain, from what the observer is told. */
export class LiveTunnels {
  readonly #byDomain = new Map<string, Set<string>>();

  /** Notes a new tunnel; gives how many its domain has now. */
  opened(tunnel: TunnelInfo): number {
    const ids = this.#byDomain.get(tunnel.domain) ?? new Set();
    this.#byDomain.set(tunnel.domain, ids.add(tunnel.id));
    return ids.size;
  }

  /** Notes that a tunnel takes no new streams; gives how many its domain has left. Twice for one tunnel is fine. */
  left(tunnel: TunnelInfo): number {
    const ids = this.#byDomain.get(tunnel.domain);
    if (ids === undefined) return 0;
    ids.delete(tunnel.id);
    if (ids.size === 0) this.#byDomain.delete(tunnel.domain);
    return ids.size;
  }

  /** How many tunnels a domain has. */
  count(domain: string): number {
    return this.#byDomain.get(domain)?.size ?? 0;
  }

  /** The same in words: `no tunnel is up`, `1 tunnel is up`, `3 tunnels are up`. */
  text(domain: string): string {
    const count = this.count(domain);
    if (count === 0) return 'no tunnel is up';
    return count === 1 ? '1 tunnel is up' : `${count} tunnels are up`;
  }
}
