import type { Way } from '../core/events.ts';
import type { ResolvedDomain } from './resolve-options.ts';
import { StreamGate } from './stream-gate.ts';

interface Entry {
  readonly gate: StreamGate;
  /** Those that are in, by way. */
  readonly active: Partial<Record<Way, number>>;
}

/** The stream gates of all domains; those without streams are forgotten. */
export class DomainStreams {
  /** How many wait for a place, or are byte streams that a tunnel is to open. */
  opening = 0;
  readonly #maxWaitMs: number | undefined;
  readonly #entries = new Map<string, Entry>();

  /** `maxWaitMs`: how long a stream may be waited for; tests make it shorter. */
  constructor(maxWaitMs?: number) {
    this.#maxWaitMs = maxWaitMs;
  }

  /** True: in at once; see {@link StreamGate}. */
  tryEnter(policy: ResolvedDomain, way: Way): boolean {
    let entry = this.#entries.get(policy.name);
    if (entry === undefined) {
      entry = { gate: new StreamGate(this.#maxWaitMs), active: {} };
      this.#entries.set(policy.name, entry);
    }
    const isIn = entry.gate.tryEnter(policy.concurrency);
    if (isIn) count(entry, way, 1);
    return isIn;
  }

  /** Waits for a place. Fails with `stream-limit` or the signal's reason. */
  async wait(policy: ResolvedDomain, way: Way, signal: AbortSignal): Promise<void> {
    const entry = this.#entries.get(policy.name);
    this.opening += 1;
    try {
      await entry?.gate.wait(signal);
    } finally {
      this.opening -= 1;
    }
    if (entry !== undefined) count(entry, way, 1);
  }

  leave(policy: ResolvedDomain, way: Way): void {
    const entry = this.#entries.get(policy.name);
    if (entry === undefined) return;
    count(entry, way, -1);
    entry.gate.leave();
    if (entry.gate.idle) this.#entries.delete(policy.name);
  }

  /** How many of a domain are under way, by way in. */
  activeOf(domain: string): Partial<Record<Way, number>> {
    const active = this.#entries.get(domain)?.active ?? {};
    return Object.fromEntries(Object.entries(active).filter(([, streams]) => streams > 0));
  }
}

function count({ active }: Entry, way: Way, by: number): void {
  active[way] = (active[way] ?? 0) + by;
}
