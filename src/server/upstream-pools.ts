import { formatPeer } from '../core/address.ts';
import type { Carrier } from '../core/dial.ts';
import { Upstream } from '../net/upstream.ts';
import { UpstreamPool } from '../net/upstream-pool.ts';
import { TARGET_RULES } from './request-headers.ts';
import type { Visit } from './visit.ts';
import type { VisitorConnection } from './visitor.ts';

/** For which request a stream is wanted. */
export interface StreamWish {
  readonly carrier: Carrier;
  readonly visitor: PooledVisitor;
  /** `domain[:port]` as the visitor asked for it. */
  readonly authority: string;
  readonly transaction: string;
  readonly signal: AbortSignal;
}

/** For whom streams are kept: a connection, and who asks on it, who can change where a proxy is believed. */
export type PooledVisitor = Pick<Visit, 'connection' | 'remote' | 'way'>;

interface VisitorPool {
  readonly remote: string;
  readonly pool: UpstreamPool;
}

/** The kept-alive streams of one carrier; a pool for each visitor's connection where the agent asked for that. */
interface CarrierPools {
  shared: UpstreamPool;
  /** That of the carrier when the streams in here were opened. */
  epoch: number;
  readonly byVisitor: Map<VisitorConnection, VisitorPool>;
}

/**
 * Kept-alive streams, by carrier: each request is balanced on its own, and what leaves takes its streams along. No stream
 * is ever shared at the same time.
 */
export class UpstreamPools {
  readonly #pools = new WeakMap<Carrier, CarrierPools>();
  /** Usable carriers that have pools, by domain. */
  readonly #carriers = new Map<string, Set<Carrier>>();
  /** Carriers on which a visitor's connection has a pool of its own. */
  readonly #ofVisitor = new WeakMap<VisitorConnection, Set<CarrierPools>>();

  /** A free stream that was used within `maxFreeMs`, or null. */
  take(carrier: Carrier, visitor: PooledVisitor, maxFreeMs?: number): Upstream | null {
    const pools = this.#current(carrier);
    if (pools === undefined) return null;
    return poolOf(pools, carrier, visitor)?.take(maxFreeMs) ?? null;
  }

  /** Opens a stream that the pool keeps once it is free. Fails with a BackdialError. */
  async open(wish: StreamWish): Promise<Upstream> {
    const { carrier, visitor } = wish;
    const { epoch } = carrier;
    const upstream = await this.openAlone(wish);
    // The agent may have answered it with the targets of before.
    if (carrier.epoch === epoch) this.#poolFor(carrier, visitor).adopt(upstream);
    return upstream;
  }

  /** Opens a stream that belongs to one exchange only and ends with it. Fails with a BackdialError. */
  async openAlone({ carrier, authority, transaction, visitor, signal }: StreamWish): Promise<Upstream> {
    const { raw } = visitor.connection;
    const arrivedAt = () => formatPeer(raw.localAddress, raw.localPort);
    const options = { way: visitor.way, http: true, transaction, client: visitor.remote, arrivedAt, signal } as const;
    const upstream = new Upstream(await carrier.open(authority, options), TARGET_RULES);
    upstream.onFree = endFree;
    return upstream;
  }

  /**
   * A carrier of one of these domains that has a free stream for this visitor. Where streams are not shared, free ones of
   * other visitors are ended instead, so that there will be room.
   */
  carrierWithFree(domains: readonly string[], visitor: PooledVisitor): Carrier | null {
    for (const domain of domains) {
      for (const carrier of this.#carriers.get(domain) ?? []) {
        const pools = this.#current(carrier);
        if (pools === undefined) continue;
        const pool = poolOf(pools, carrier, visitor);
        if (pool !== undefined && pool.freeCount > 0) return carrier;
        for (const { pool: other } of pools.byVisitor.values()) if (other.endOldest()) return null;
      }
    }
    return null;
  }

  /** Ends a free stream of one of these domains, and of this instance if one is named; false where there is none. */
  endFree(domains: readonly string[], instance: string | null): boolean {
    for (const domain of domains) {
      for (const carrier of this.#carriers.get(domain) ?? []) {
        if (instance !== null && carrier.instance !== instance) continue;
        const pools = this.#current(carrier);
        if (pools === undefined) continue;
        if (pools.shared.endOldest()) return true;
        for (const { pool } of pools.byVisitor.values()) if (pool.endOldest()) return true;
      }
    }
    return false;
  }

  /** The visitor's connection closed: streams of its own are of no use to others. */
  forget(connection: VisitorConnection): void {
    for (const pools of this.#ofVisitor.get(connection) ?? []) {
      pools.byVisitor.get(connection)?.pool.close();
      pools.byVisitor.delete(connection);
    }
    this.#ofVisitor.delete(connection);
  }

  #poolFor(carrier: Carrier, visitor: PooledVisitor): UpstreamPool {
    const pools = this.#poolsOf(carrier);
    const known = poolOf(pools, carrier, visitor);
    if (known !== undefined) return known;
    const { connection, remote } = visitor;
    pools.byVisitor.get(connection)?.pool.close();
    const pool = new UpstreamPool();
    if (carrier.leaving.aborted) pool.close();
    pools.byVisitor.set(connection, { remote, pool });
    const all = this.#ofVisitor.get(connection) ?? new Set();
    this.#ofVisitor.set(connection, all.add(pools));
    return pool;
  }

  #poolsOf(carrier: Carrier): CarrierPools {
    const known = this.#current(carrier);
    if (known !== undefined) return known;
    const pools: CarrierPools = { shared: new UpstreamPool(), byVisitor: new Map(), epoch: carrier.epoch };
    const close = (): void => {
      this.#list(carrier, false);
      closeAll(pools);
    };
    if (carrier.leaving.aborted) close();
    else {
      this.#list(carrier, true);
      carrier.leaving.addEventListener('abort', close, { once: true });
    }
    this.#pools.set(carrier, pools);
    return pools;
  }

  /** The pools of a carrier, empty where all that was in them is of an earlier epoch. */
  #current(carrier: Carrier): CarrierPools | undefined {
    const pools = this.#pools.get(carrier);
    if (pools === undefined || pools.epoch === carrier.epoch) return pools;
    closeAll(pools);
    pools.byVisitor.clear();
    pools.shared = new UpstreamPool();
    if (carrier.leaving.aborted) pools.shared.close();
    pools.epoch = carrier.epoch;
    return pools;
  }

  #list(carrier: Carrier, usable: boolean): void {
    const known = this.#carriers.get(carrier.domain) ?? new Set();
    if (usable) known.add(carrier);
    else known.delete(carrier);
    if (known.size === 0) this.#carriers.delete(carrier.domain);
    else this.#carriers.set(carrier.domain, known);
  }
}

/** The pool of a visitor; undefined where it has none yet: one that was made for another behind the same proxy does not count. */
function poolOf(
  pools: CarrierPools,
  carrier: Carrier,
  { connection, remote }: PooledVisitor,
): UpstreamPool | undefined {
  if (!carrier.streamPerVisitor) return pools.shared;
  const own = pools.byVisitor.get(connection);
  return own?.remote === remote ? own.pool : undefined;
}

function closeAll({ shared, byVisitor }: CarrierPools): void {
  shared.close();
  for (const { pool } of byVisitor.values()) pool.close();
}

function endFree(upstream: Upstream): void {
  upstream.end();
}
