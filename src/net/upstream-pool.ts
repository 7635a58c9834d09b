import { Deadline } from './deadline.ts';
import type { Upstream } from './upstream.ts';

/** Free connections beyond this are ended. */
export const MAX_FREE_CONNECTIONS = 256;
/** How long a connection may stay free, ms: less than most targets keep one. */
export const FREE_MS = 30_000;

/** The kept-alive connections of one target: the one used last is used first, so that the others grow old and go. */
export class UpstreamPool {
  readonly #free: Upstream[] = [];
  readonly #sweep = new Deadline(() => this.#endOld());
  #closed = false;

  get freeCount(): number {
    return this.#free.length;
  }

  /** From now on the pool keeps it when it is free. */
  adopt(upstream: Upstream): void {
    upstream.onFree = this.#upstreamOnFree;
    upstream.onClosed = this.#upstreamOnClosed;
  }

  /** As {@link adopt}, for one that is free already. */
  add(upstream: Upstream): void {
    this.adopt(upstream);
    upstream.freeSince = performance.now();
    this.#upstreamOnFree(upstream);
  }

  /**
   * A free connection, or null. `maxFreeMs`: it must have been used that recently; one that was not is ended, for another
   * will be opened in its place.
   */
  take(maxFreeMs = Number.POSITIVE_INFINITY): Upstream | null {
    const upstream = this.#free.pop();
    if (upstream === undefined) return null;
    if (maxFreeMs === Number.POSITIVE_INFINITY || performance.now() - upstream.freeSince <= maxFreeMs) return upstream;
    upstream.end();
    return null;
  }

  /** Ends the connection that is free the longest; false when none is. */
  endOldest(): boolean {
    const oldest = this.#free.shift();
    oldest?.end();
    return oldest !== undefined;
  }

  /** Ends what is free; what is busy ends with its exchange. */
  close(): void {
    this.#closed = true;
    this.#sweep.close();
    for (const upstream of this.#free.splice(0)) upstream.end();
  }

  #endOld(): void {
    const oldestAllowed = performance.now() - FREE_MS;
    let first = this.#free[0];
    while (first !== undefined && first.freeSince <= oldestAllowed) {
      this.endOldest();
      first = this.#free[0];
    }
    if (first !== undefined) this.#sweep.arm(Math.ceil(first.freeSince - oldestAllowed) + 1);
  }

  readonly #upstreamOnFree = (upstream: Upstream): void => {
    if (this.#closed) {
      upstream.end();
      return;
    }
    this.#free.push(upstream);
    if (this.#free.length > MAX_FREE_CONNECTIONS) this.endOldest();
    if (!this.#sweep.armed) this.#sweep.arm(FREE_MS);
  };

  readonly #upstreamOnClosed = (upstream: Upstream): void => {
    const at = this.#free.indexOf(upstream);
    if (at !== -1) this.#free.splice(at, 1);
  };
}
