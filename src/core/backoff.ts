/** How long to wait between attempts: exponential with full jitter. */
export interface BackoffOptions {
  /** Upper bound of the first wait, ms. Default 250. */
  readonly baseMs?: number;
  /** Upper bound of every wait, ms. Default 4,000. */
  readonly capMs?: number;
  /** Upper bound once `refusals` reached `refusalLimit`, ms. Default 30,000. */
  readonly refusedCapMs?: number;
  /** How many refusals in a row raise the cap. Default 10. */
  readonly refusalLimit?: number;
  /** 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * The waits of one link. The first wait after a tunnel that worked is 0 (reconnect at once), the next ones are drawn
 * evenly from 0 to a bound that doubles from `baseMs` to `capMs` ("full jitter": agents that lost the same server at
 * the same time must not come back at the same time).
 */
export class Backoff {
  readonly #baseMs: number;
  readonly #capMs: number;
  readonly #refusedCapMs: number;
  readonly #refusalLimit: number;
  readonly #random: () => number;
  #attempts = 0;
  #refusals = 0;

  constructor(options: BackoffOptions = {}) {
    this.#baseMs = options.baseMs ?? 250;
    this.#capMs = options.capMs ?? 4_000;
    this.#refusedCapMs = options.refusedCapMs ?? 30_000;
    this.#refusalLimit = options.refusalLimit ?? 10;
    this.#random = options.random ?? Math.random;
  }

  /** Attempts since the last reset. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The cap that is in force, ms: what an agent that was replaced waits in full. */
  get capMs(): number {
    return this.#refusals >= this.#refusalLimit ? this.#refusedCapMs : this.#capMs;
  }

  /** The next wait, ms. `refused` counts an attempt that the peer answered with a refusal. */
  next(refused = false): number {
    this.#refusals = refused ? this.#refusals + 1 : 0;
    const attempt = this.#attempts;
    this.#attempts += 1;
    if (attempt === 0) return 0;
    const bound = refused && this.#refusals >= this.#refusalLimit ? this.capMs : this.#baseMs * 2 ** (attempt - 1);
    return Math.floor(this.#random() * Math.min(this.capMs, bound));
  }

  /** To be called only after a tunnel has lived long enough to count as success. */
  reset(): void {
    this.#attempts = 0;
    this.#refusals = 0;
  }
}
