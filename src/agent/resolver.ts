import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff, type BackoffOptions } from '../core/backoff.ts';
import { BackdialError } from '../core/errors.ts';
import { inTime } from '../core/in-time.ts';
import { Turns } from '../core/turns.ts';
import { askRecords, type NameRecords, NO_RECORDS } from './name-records.ts';

/** What a watcher of a name is told. */
export interface AddressListener {
  /** A definite answer that differs from the one before. Empty: the name is gone. */
  addressesOnChange(addresses: readonly string[]): void;
  /** There is no address to dial: the name is gone, or it never resolved. `attempt` counts from 1. */
  lookupOnFail(error: BackdialError, attempt: number, retryInMs: number): void;
}

/** One look-up of a name. */
export interface NameAnswer {
  /** Every address; rejects with the platform's error (`code`). */
  readonly addresses: Promise<readonly string[]>;
  /** What the DNS says beside them, as far as it is asked; never rejects. */
  readonly records: Promise<NameRecords>;
}

/** Looks a name up; `signal` is aborted when nobody wants to know any more. */
export type Lookup = (host: string, signal: AbortSignal) => NameAnswer;

/** How names are resolved. */
export interface ResolverOptions {
  readonly lookup: Lookup;
  /** How long an answer counts: its TTL within these, `mostMs` where it has none. */
  readonly resolveInterval: { readonly leastMs: number; readonly mostMs: number };
  readonly backoff: BackoffOptions;
}

/** Starts when a look-up begins; ends with its addresses. */
const LOOKUP_TIMEOUT_MS = 10_000;
/**
 * Look-ups at the same time. Node does two of them, the others wait where they cannot be called back: an agent of thousands of
 * names had most of them time out there, and what came after them, too.
 */
const MAX_LOOKUPS = 16;
/** Starts when the addresses are there; ends with the records, which are done without then. */
const RECORDS_TIMEOUT_MS = 5_000;
/** Of more addresses of one name these many are dialled: whoever answers for the name could otherwise choose their number. */
const MAX_ADDRESSES = 64;
/** Answers that say "there is no such address"; every other failure leaves the addresses as they are. */
const DEFINITE = new Set(['ENOTFOUND', 'ENODATA', 'ENONAME']);

/** Every address (A and AAAA) that the system's resolver, `/etc/hosts` included, gives for a name. */
export async function lookupAddresses(host: string): Promise<readonly string[]> {
  const answers = await lookup(host, { all: true, order: 'verbatim' });
  return answers.map(({ address }) => address);
}

/** One look-up, and what ends it. */
export interface LookupOptions {
  readonly lookup: typeof lookupAddresses;
  readonly signal: AbortSignal;
}

/** A look-up within the time that an agent gives each of its own; rejects with the signal's reason once that is aborted. */
export async function lookupInTime(host: string, { lookup, signal }: LookupOptions): Promise<readonly string[]> {
  signal.throwIfAborted();
  return inTime(lookup(host), LOOKUP_TIMEOUT_MS, signal);
}

/** As the system resolves names, and for how long: getaddrinfo says which addresses count, the DNS itself how long they do. */
export const systemLookup: Lookup = (host, signal) => ({
  addresses: lookupAddresses(host),
  records: askRecords(host, signal),
});

/** Watches names, each once however many domains use it. */
export class Resolver {
  readonly #options: ResolverOptions;
  readonly #turns = new Turns(MAX_LOOKUPS);
  readonly #names = new Map<string, WatchedName>();

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** Calls the listener now and then on, until the function that is given back is called. */
  watch(host: string, listener: AddressListener): () => void {
    if (isIP(host) !== 0) {
      listener.addressesOnChange([host]);
      return () => {};
    }
    const name = this.#names.get(host) ?? new WatchedName(host, this.#options, this.#turns);
    this.#names.set(host, name);
    name.add(listener);
    return () => {
      if (name.remove(listener) > 0) return;
      name.stop();
      if (this.#names.get(host) === name) this.#names.delete(host);
    };
  }
}

class WatchedName {
  readonly #host: string;
  readonly #options: ResolverOptions;
  readonly #turns: Turns;
  readonly #listeners = new Set<AddressListener>();
  readonly #stopped = new AbortController();
  readonly #backoff: Backoff;
  #addresses: readonly string[] = [];

  constructor(host: string, options: ResolverOptions, turns: Turns) {
    this.#host = host;
    this.#options = options;
    this.#turns = turns;
    this.#backoff = new Backoff(options.backoff);
    void this.#run();
  }

  add(listener: AddressListener): void {
    this.#listeners.add(listener);
    if (this.#addresses.length > 0) listener.addressesOnChange(this.#addresses);
  }

  /** How many listeners are left. */
  remove(listener: AddressListener): number {
    this.#listeners.delete(listener);
    return this.#listeners.size;
  }

  stop(): void {
    this.#stopped.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    let waitMs = this.#backoff.next();
    while (!signal.aborted) {
      await sleep(waitMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      waitMs = await this.#resolve();
    }
  }

  /** One look-up; gives the wait until the next. */
  async #resolve(): Promise<number> {
    const { resolveInterval } = this.#options;
    const done = new AbortController();
    let told: Promise<NameRecords> | null = null;
    try {
      const { addresses, records } = await this.#lookup(AbortSignal.any([this.#stopped.signal, done.signal]));
      // Once, and not before there are addresses: its time begins then.
      const tell = () => (told ??= inTime(records, RECORDS_TIMEOUT_MS).catch(() => NO_RECORDS));
      const found = await inTime(addresses, LOOKUP_TIMEOUT_MS);
      if (found.length === 0) throw Object.assign(new Error('no address'), { code: 'ENODATA' });
      this.#change([...found, ...(await this.#unanswered(found, tell))]);
      this.#backoff.reset();
      // The immediate first attempt has been used: the next failure is followed by a wait.
      this.#backoff.next();
      const { ttlMs } = await tell();
      return Math.min(Math.max(ttlMs ?? resolveInterval.mostMs, resolveInterval.leastMs), resolveInterval.mostMs);
    } catch (error) {
      return this.#fail(error);
    } finally {
      done.abort();
    }
  }

  /** Begins a look-up once it is its turn, which lasts as long as the look-up does: what takes too long goes on all the same. */
  #lookup(signal: AbortSignal): Promise<NameAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<NameAnswer>();
    const turn = this.#turns.during(signal, async () => {
      const answer = this.#options.lookup(this.#host, signal);
      resolve(answer);
      await answer.addresses.catch(() => {});
    });
    turn.catch(reject);
    return promise;
  }

  /**
   * getaddrinfo gives the addresses of one family where the question for the other was not answered, as if there were none.
   * Those that were known are kept then: temporary failures take nothing away.
   */
  async #unanswered(found: readonly string[], tell: () => Promise<NameRecords>): Promise<readonly string[]> {
    const families = new Set(found.map(isIP));
    const missing = this.#addresses.filter((address) => !families.has(isIP(address)));
    if (missing.length === 0) return [];
    const { unanswered } = await tell();
    // Where the DNS does not answer at all the addresses come from elsewhere, which is all that there is to go by.
    if (unanswered.size !== 1) return [];
    return missing.filter((address) => unanswered.has(isIP(address)));
  }

  #fail(error: unknown): number {
    const code = (error as { code?: unknown }).code;
    if (typeof code === 'string' && DEFINITE.has(code)) this.#change([]);
    const attempt = this.#backoff.attempts;
    const retryInMs = Math.min(this.#backoff.next(), this.#options.resolveInterval.mostMs);
    if (this.#addresses.length > 0 || this.#stopped.signal.aborted) return retryInMs;
    const reason = typeof code === 'string' ? code : String(error);
    const wrapped = new BackdialError('server-unresolved', `${this.#host} (${reason})`, { cause: error });
    for (const listener of this.#listeners) listener.lookupOnFail(wrapped, attempt, retryInMs);
    return retryInMs;
  }

  #change(found: readonly string[]): void {
    if (this.#stopped.signal.aborted) return;
    const addresses = [...new Set(found)].sort().slice(0, MAX_ADDRESSES);
    if (addresses.join() === this.#addresses.join()) return;
    this.#addresses = addresses;
    for (const listener of this.#listeners) listener.addressesOnChange(addresses);
  }
}
