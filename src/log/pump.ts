import type { DestinationReport } from './destination.ts';

/** What a {@link Pump} writes to: a file, a syslog receiver. */
export interface Sink {
  /**
   * Writes some of the first lines, at least one, opening what it needs. `count` says how many need not be given again;
   * with an `error` the rest comes again later, the same line first. The list only grows meanwhile. Never rejects.
   */
  write(lines: readonly string[]): Promise<Written>;
  /**
   * Writes every line at once but those that {@link write} is busy with; gives how many these are. May throw. Absent where
   * that cannot be done.
   */
  writeSync?(lines: readonly string[]): number;
  /** Opens anew before the next write. */
  reopen(): void;
  /** Lets go of everything; a write that is under way ends. */
  close(): Promise<void>;
}

/** What came of one write. */
export interface Written {
  readonly count: number;
  readonly error: Error | null;
}

/**
 * Least time from one write to the next, ms: a line after a pause is written at once, the lines of a busy server together. A
 * write for the few lines of each turn was half of what an access log cost.
 */
const GATHER_MS = 20;
/** With more than this nothing is waited for, characters. */
const GATHER_CHARACTERS = 65_536;

/** The bounds of a {@link Pump}. */
export interface PumpOptions {
  /** How much may wait, characters; more is dropped and counted. Default 16 Mi. */
  readonly maxWaiting?: number;
  /** From a failure to the next attempt, ms. Default 1,000. */
  readonly retryMs?: number;
  /** How long it must have worked before that is said, and least time between two counts of dropped lines, ms. Default 3,000. */
  readonly calmMs?: number;
  /** How long {@link Pump.close} writes on, ms. Default 2,000. */
  readonly closeMs?: number;
  readonly report: (report: DestinationReport) => void;
}

/**
 * Feeds lines to a sink that may be slow, gone or full for a while: nobody waits for it, what waits is bounded, what is
 * dropped is counted, and each change of its state is said once.
 *
 *     working --error--> failing --no error for calmMs--> working, said with the count of dropped lines
 */
export class Pump {
  readonly #sink: Sink;
  readonly #options: Required<PumpOptions>;
  readonly #lines: string[] = [];
  #waiting = 0;
  /** Not yet reported. */
  #dropped = 0;
  #droppedBefore = 0;
  #failing = false;
  #closing = false;
  #running: Promise<void> | null = null;
  #endPause: (() => void) | null = null;
  #gathering = false;
  #wroteAt = Number.NEGATIVE_INFINITY;
  #calm: NodeJS.Timeout | undefined;

  constructor(sink: Sink, options: PumpOptions) {
    this.#sink = sink;
    this.#options = { maxWaiting: 16 * 1024 * 1024, retryMs: 1_000, calmMs: 3_000, closeMs: 2_000, ...options };
  }

  /** Lines that were dropped so far. */
  get dropped(): number {
    return this.#droppedBefore + this.#dropped;
  }

  /** Takes a line, or counts it as dropped. */
  write(line: string): void {
    if (this.#closing || this.#waiting + line.length > this.#options.maxWaiting) {
      this.#dropped += 1;
      return;
    }
    this.#lines.push(line);
    this.#waiting += line.length;
    this.#running ??= this.#run();
    if (this.#gathering && this.#waiting >= GATHER_CHARACTERS) this.#endPause?.();
  }

  /** Has the sink open anew, and tries at once where it failed. */
  reopen(): void {
    this.#sink.reopen();
    this.#endPause?.();
  }

  /** Writes what waits at once, where the sink can. */
  flushSync(): void {
    if (this.#lines.length === 0 || this.#sink.writeSync === undefined) return;
    try {
      const busy = this.#sink.writeSync(this.#lines);
      for (const line of this.#lines.splice(busy)) this.#waiting -= line.length;
    } catch {
      // There is no later in which to try again.
    }
  }

  /** Writes what waits while that goes well, for `closeMs` at most; what is left then counts as dropped. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#endPause?.();
    if (this.#running !== null) await settledWithin(this.#running, this.#options.closeMs);
    clearTimeout(this.#calm);
    this.#dropped += this.#lines.length;
    this.#lines.length = 0;
    if (this.#dropped > 0) this.#say('closed');
    await settledWithin(this.#sink.close(), this.#options.closeMs);
  }

  async #run(): Promise<void> {
    // The lines of one turn go together.
    await new Promise(setImmediate);
    while (this.#lines.length > 0) {
      await this.#gather();
      // Meanwhile they may have been written at once, or given up.
      if (this.#lines.length === 0) break;
      this.#wroteAt = performance.now();
      // One that began before `close` may have failed of what is mended by now: another follows it.
      const isLast = this.#closing;
      const { count, error } = await this.#sink.write(this.#lines);
      this.#took(count);
      if (error === null) this.#succeeded();
      else {
        this.#failed(error);
        if (isLast) break;
        if (!this.#closing) await this.#pause(this.#options.retryMs);
      }
    }
    this.#running = null;
  }

  #took(count: number): void {
    // Empty after `close` gave up.
    for (const line of this.#lines.splice(0, count)) this.#waiting -= line.length;
  }

  #failed(error: Error): void {
    clearTimeout(this.#calm);
    this.#calm = undefined;
    if (this.#failing) return;
    this.#failing = true;
    this.#options.report({ state: 'failing', dropped: 0, error });
  }

  #succeeded(): void {
    if (this.#calm !== undefined || (!this.#failing && this.#dropped === 0)) return;
    this.#calm = setTimeout(() => {
      this.#calm = undefined;
      this.#say('working');
    }, this.#options.calmMs).unref();
  }

  #say(state: 'working' | 'closed'): void {
    const dropped = this.#dropped;
    this.#failing = false;
    this.#droppedBefore += dropped;
    this.#dropped = 0;
    this.#options.report({ state, dropped, error: null });
  }

  async #gather(): Promise<void> {
    const earlyMs = this.#wroteAt + GATHER_MS - performance.now();
    this.#gathering = earlyMs > 0 && this.#waiting < GATHER_CHARACTERS && !this.#closing;
    if (!this.#gathering) return;
    await this.#pause(Math.ceil(earlyMs));
    this.#gathering = false;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Waits for `work`, for a bounded time. */
export async function settledWithin(work: Promise<unknown>, deadlineMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, deadlineMs);
  await Promise.race([work.catch(() => {}), promise]);
  clearTimeout(timer);
}
