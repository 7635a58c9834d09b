import ipaddr from 'ipaddr.js';

/** Failures in a row that an address has for nothing. */
const BURST = 10;
/** After that, one attempt each. */
const REFILL_MS = 6_000;
/** Addresses that are remembered; the one that failed longest ago goes first. */
const MAX_ADDRESSES = 10_000;

/** What is left to an address, as of `atMs`. */
interface Bucket {
  readonly attempts: number;
  readonly atMs: number;
}

/**
 * Counts failed logins by address: 10, then one more every 6 s. An attempt is taken before it is judged, so that many at
 * once are no more than many in a row, and given back when it succeeded. An IPv6 address counts as its /64: whoever has one
 * has all of it.
 */
export class FailureLimiter {
  readonly #buckets = new Map<string, Bucket>();

  /** Addresses that are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Takes an attempt. 0: it may be made; else ms until the next one may. `nowMs` never goes backwards. */
  take(address: string | null, nowMs: number): number {
    const key = keyOf(address);
    const attempts = this.#left(key, nowMs);
    if (attempts < 1) return untilOne(attempts);
    this.#put(key, { attempts: attempts - 1, atMs: nowMs });
    return 0;
  }

  /**
   * Counts an attempt that failed and was not taken, for who keeps out nobody who may be right: however many were judged at the
   * same time, they are made up for, up to twice as many as an address has for nothing.
   */
  fail(address: string | null, nowMs: number): void {
    const key = keyOf(address);
    this.#put(key, { attempts: Math.max(-BURST, this.#left(key, nowMs) - 1), atMs: nowMs });
  }

  /** As {@link take}, and takes nothing: before an attempt that is told to {@link fail}. */
  waitMs(address: string | null, nowMs: number): number {
    const attempts = this.#left(keyOf(address), nowMs);
    return attempts < 1 ? untilOne(attempts) : 0;
  }

  /** Gives an attempt back that was no failure. */
  giveBack(address: string | null): void {
    const key = keyOf(address);
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return;
    const attempts = bucket.attempts + 1;
    if (attempts >= BURST) this.#buckets.delete(key);
    else this.#buckets.set(key, { ...bucket, attempts });
  }

  #left(key: string, nowMs: number): number {
    const bucket = this.#buckets.get(key);
    const earned = bucket === undefined ? 0 : (nowMs - bucket.atMs) / REFILL_MS;
    return Math.min(BURST, (bucket?.attempts ?? BURST) + earned);
  }

  #put(key: string, bucket: Bucket): void {
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > MAX_ADDRESSES && oldest !== undefined) this.#buckets.delete(oldest);
  }
}

function untilOne(attempts: number): number {
  return Math.ceil((1 - attempts) * REFILL_MS);
}

function keyOf(address: string | null): string {
  if (address === null) return 'unix';
  if (!address.includes(':') || !ipaddr.isValid(address)) return address;
  return ipaddr.parse(address).toByteArray().slice(0, 8).join('.');
}
