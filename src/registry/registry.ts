import type { Carrier } from '../core/dial.ts';
import type { TunnelEnd, TunnelInfo } from '../core/events.ts';
import type { TunnelStats } from '../core/tunnel-stats.ts';
import { GATHERED_STREAMS } from '../tunnel/crowding.ts';

/** A tunnel as the registry keeps it. */
export interface RegisteredTunnel extends Carrier {
  readonly info: TunnelInfo;
  readonly instance: string;
  readonly streamCount: number;
  readonly streamLimit: number;
  /** Whether a stream to come would fare better on another tunnel. */
  readonly isCrowded: boolean;
  readonly stats: TunnelStats;
  drain(reason: TunnelEnd, deadlineMs: number): void;
}

/** How one of several is chosen. */
export type Choice = 'round-robin' | 'least-streams' | 'random';

/** What a pick found: a tunnel, or that there is none, or that all are at their stream limit. */
export type Picked = RegisteredTunnel | 'none' | 'full';

/** The tunnels of one agent for one domain. */
interface Instance {
  readonly name: string;
  /** By slot, the lowest first: a tunnel that an agent opened for a crowd is to empty once that is gone. */
  slots: Map<number, RegisteredTunnel>;
}

interface DomainEntry {
  readonly instances: Map<string, Instance>;
  /** The same, in an order that a pick can walk. */
  order: Instance[];
  turn: number;
}

/** Who serves what, in memory: domain -> instance -> slot -> tunnel. */
export class TunnelRegistry {
  readonly #domains = new Map<string, DomainEntry>();
  readonly #listeners = new Set<() => void>();
  readonly #instanceOnGone: (instance: { readonly domain: string; readonly instance: string }) => void;

  /** `instanceOnGone` is told when the last tunnel of an instance was removed. */
  constructor(instanceOnGone: (instance: { readonly domain: string; readonly instance: string }) => void = () => {}) {
    this.#instanceOnGone = instanceOnGone;
  }

  /** Calls `listener` whenever a tunnel was added. Gives what ends that. */
  onAdded(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Adds a tunnel and returns the one that it replaces: the newer of the same (domain, instance, slot) wins at once, so
   * that a half-dead agent never locks its successor out.
   */
  add(tunnel: RegisteredTunnel): RegisteredTunnel | null {
    const entry = this.#entry(tunnel.domain);
    let instance = entry.instances.get(tunnel.instance);
    if (instance === undefined) {
      instance = { name: tunnel.instance, slots: new Map() };
      entry.instances.set(tunnel.instance, instance);
      entry.order = [...entry.instances.values()];
    }
    const replaced = instance.slots.get(tunnel.info.slot) ?? null;
    instance.slots = new Map([...instance.slots, [tunnel.info.slot, tunnel] as const].toSorted(([a], [b]) => a - b));
    for (const listener of this.#listeners) listener();
    return replaced;
  }

  /** Removes this very tunnel; a newer one in its slot stays (the end of a replaced tunnel must not remove its successor). */
  remove(tunnel: RegisteredTunnel): void {
    const entry = this.#domains.get(tunnel.domain);
    const instance = entry?.instances.get(tunnel.instance);
    if (entry === undefined || instance?.slots.get(tunnel.info.slot) !== tunnel) return;
    instance.slots.delete(tunnel.info.slot);
    if (instance.slots.size > 0) return;
    entry.instances.delete(instance.name);
    entry.order = [...entry.instances.values()];
    if (entry.order.length === 0) this.#domains.delete(tunnel.domain);
    this.#instanceOnGone({ domain: tunnel.domain, instance: instance.name });
  }

  /** Whether an instance of a domain has a tunnel. */
  has(domain: string, instance: string): boolean {
    return this.#domains.get(domain)?.instances.has(instance) ?? false;
  }

  /** How many live instances serve a domain. */
  instanceCount(domain: string): number {
    return this.#domains.get(domain)?.order.length ?? 0;
  }

  *tunnels(): IterableIterator<RegisteredTunnel> {
    for (const entry of this.#domains.values()) {
      for (const instance of entry.order) yield* instance.slots.values();
    }
  }

  /**
   * Chooses a tunnel of the domain, or of one instance of it. Instances that have a tunnel in `except` were tried already:
   * they come last, and a tunnel in `except` never comes again.
   */
  pick(
    domain: string,
    options: { instance: string | null; balance: Choice; except?: ReadonlySet<Carrier> | undefined },
  ): Picked {
    const entry = this.#domains.get(domain);
    if (entry === undefined) return 'none';
    const except = options.except ?? NOTHING;
    if (options.instance !== null) {
      const instance = entry.instances.get(options.instance);
      return instance === undefined ? 'none' : pickSlot(instance, except);
    }
    let full = false;
    for (const fresh of except.size > 0 ? [true, false] : [false]) {
      for (const instance of inOrder(entry, options.balance)) {
        if (fresh && wasTried(instance, except)) continue;
        const tunnel = pickSlot(instance, except);
        if (tunnel === 'full') full = true;
        else if (tunnel !== 'none') return tunnel;
      }
    }
    return full ? 'full' : 'none';
  }

  #entry(domain: string): DomainEntry {
    let entry = this.#domains.get(domain);
    if (entry === undefined) {
      entry = { instances: new Map(), order: [], turn: 0 };
      this.#domains.set(domain, entry);
    }
    return entry;
  }
}

const NOTHING: ReadonlySet<Carrier> = new Set();

/** The instances in the order in which they are to be asked. */
function inOrder(entry: DomainEntry, balance: Choice): readonly Instance[] {
  if (entry.order.length === 1) return entry.order;
  switch (balance) {
    case 'round-robin':
      entry.turn = (entry.turn + 1) % entry.order.length;
      return rotated(entry.order, entry.turn);
    case 'random':
      return rotated(entry.order, Math.floor(Math.random() * entry.order.length));
    case 'least-streams':
      return entry.order.toSorted((a, b) => streamsOf(a) - streamsOf(b));
  }
}

function rotated(order: readonly Instance[], by: number): readonly Instance[] {
  return by === 0 ? order : [...order.slice(by), ...order.slice(0, by)];
}

function streamsOf(instance: Instance): number {
  let streams = 0;
  for (const tunnel of instance.slots.values()) streams += tunnel.streamCount;
  return streams;
}

function wasTried(instance: Instance, except: ReadonlySet<Carrier>): boolean {
  for (const tunnel of instance.slots.values()) if (except.has(tunnel)) return true;
  return false;
}

/**
 * Takes the first tunnel of an instance until it is worth a turn of the event loop of its own, or is crowded; from there on the
 * one with the fewest streams, so that its tunnels share the load, and one whose streams stay has no more than its share of those
 * to come.
 */
function pickSlot(instance: Instance, except: ReadonlySet<Carrier>): Picked {
  let full = false;
  let roomy: RegisteredTunnel | null = null;
  let crowded: RegisteredTunnel | null = null;
  for (const tunnel of instance.slots.values()) {
    if (!tunnel.usable || except.has(tunnel)) continue;
    const { streamCount } = tunnel;
    if (streamCount >= tunnel.streamLimit) full = true;
    else if (tunnel.isCrowded) crowded = fewer(crowded, tunnel);
    else if (streamCount < GATHERED_STREAMS) return tunnel;
    else roomy = fewer(roomy, tunnel);
  }
  return roomy ?? crowded ?? (full ? 'full' : 'none');
}

function fewer(least: RegisteredTunnel | null, tunnel: RegisteredTunnel): RegisteredTunnel {
  return least === null || tunnel.streamCount < least.streamCount ? tunnel : least;
}
