import type { ResolvedDomain } from './resolve-options.ts';
import { StreamGate } from './stream-gate.ts';

/** The stream gates of all domains; those without streams are forgotten. */
export class DomainStreams {
  readonly #maxWaitMs: number | undefined;
  readonly #gates = new Map<string, StreamGate>();

  /** `maxWaitMs`: how long a stream may be waited for; tests make it shorter. */
  constructor(maxWaitMs?: number) {
    this.#maxWaitMs = maxWaitMs;
  }

  /** True: in at once; see {@link StreamGate}. */
  tryEnter(policy: ResolvedDomain): boolean {
    let gate = this.#gates.get(policy.name);
    if (gate === undefined) {
      gate = new StreamGate(this.#maxWaitMs);
      this.#gates.set(policy.name, gate);
    }
    return gate.tryEnter(policy.concurrency);
  }

  /** Waits for a place. Fails with `stream-limit` or the signal's reason. */
  async wait(policy: ResolvedDomain, signal: AbortSignal): Promise<void> {
    await this.#gates.get(policy.name)?.wait(signal);
  }

  leave(policy: ResolvedDomain): void {
    const gate = this.#gates.get(policy.name);
    gate?.leave();
    if (gate?.idle === true) this.#gates.delete(policy.name);
  }
}
