import type { MemoryStats } from '../core/tunnel-stats.ts';

/** What bounds the memory that stalled readers make a process hold; looked up whenever it is needed. */
export interface MemoryLimits {
  /** In one tunnel (`tunnelMemory`), bytes. */
  readonly tunnelMemoryBytes: number;
  /** In all tunnels (`memory`), bytes. */
  readonly memoryBytes: number;
}

/** One side of one tunnel, which holds what was received for readers that do not read. */
export interface Holder {
  /** The bound of its windows ({@link MemoryBudget.largestWindowBytes}) has moved. */
  budgetOnMove(): void;
}

/**
 * Bounds of a stream's window by how much of the budget is held. A smaller window takes effect on what was granted already:
 * the sender's credit shrinks with it (RFC 9113, section 6.9.2), and only what is under way still comes.
 *
 *     free --half--> tight (256 kB) --three quarters--> full (16 kB)
 *          <--3/8--                 <--5/8------------
 */
const STAGES = [
  { windowBytes: Number.POSITIVE_INFINITY, enter: 0, leave: 0 },
  { windowBytes: 256 * 1024, enter: 1 / 2, leave: 3 / 8 },
  { windowBytes: 16 * 1024, enter: 3 / 4, leave: 5 / 8 },
] as const;

/** The memory that all tunnels of a server, or of an agent, share: who holds how much, and what each may still grant. */
export class MemoryBudget {
  readonly #limits: MemoryLimits;
  readonly #held = new Map<Holder, number>();
  #heldBytes = 0;
  #stage = 0;

  /** `limits` is looked at again and again: its values may change. */
  constructor(limits: MemoryLimits) {
    this.#limits = limits;
  }

  /** For one tunnel, bytes. */
  get tunnelBytes(): number {
    return this.#limits.tunnelMemoryBytes;
  }

  /** The largest window that a stream of any tunnel may have at this moment, bytes. */
  get largestWindowBytes(): number {
    return STAGES[this.#stage]?.windowBytes ?? 0;
  }

  get stats(): MemoryStats {
    return { heldBytes: this.#heldBytes, budgetBytes: this.#limits.memoryBytes };
  }

  add(holder: Holder): void {
    this.#held.set(holder, 0);
  }

  remove(holder: Holder): void {
    this.note(holder, 0);
    this.#held.delete(holder);
  }

  /** What a holder holds now; a sum over its streams that it has made anyway. */
  note(holder: Holder, bytes: number): void {
    const before = this.#held.get(holder);
    if (before === undefined || before === bytes) return;
    this.#held.set(holder, bytes);
    this.#heldBytes += bytes - before;
    this.#move();
  }

  #move(): void {
    const share = this.#heldBytes / this.#limits.memoryBytes;
    let stage = this.#stage;
    while (share >= (STAGES[stage + 1]?.enter ?? Number.POSITIVE_INFINITY)) stage += 1;
    while (share < (STAGES[stage]?.leave ?? 0)) stage -= 1;
    if (stage === this.#stage) return;
    this.#stage = stage;
    for (const holder of this.#held.keys()) holder.budgetOnMove();
  }
}
