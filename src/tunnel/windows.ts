import type { Http2Session, Http2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Liveness } from './liveness.ts';
import type { Holder, MemoryBudget } from './memory-budget.ts';
import { windowShare } from './window-share.ts';

/** Window of one stream at the start, bytes. */
export const FIRST_STREAM_WINDOW_BYTES = 256 * 1024;
/** Window of the whole tunnel at the start, bytes; Node leaves it at 65,535 (RFC 9113, section 6.9.2). */
const FIRST_TUNNEL_WINDOW_BYTES = 1024 * 1024;
/** The tunnel's window is so many streams' windows, up to the second figure. */
const TUNNEL_WINDOW_STREAMS = 4;
const LARGEST_TUNNEL_WINDOW_BYTES = 128 * 1024 * 1024;
/** Of the wanted window to the best rate times the least round trip. */
const HEADROOM = 3;
/** Step while a transfer is limited by its window. */
const STEP = 4;
/** Windows move by at least this factor: each move is a SETTINGS frame and its acknowledgement. */
const LEAST_CHANGE = 1.5;

/** Bytes between two looks at a sleeping tunnel that wake it. */
const WAKING_BYTES = 65_536;
/** How often sleeping tunnels are looked at, ms. One timer for all of them. */
const LOOK_INTERVAL_MS = 250;
/** Least time between two samples of a tunnel that is awake, ms. */
const LEAST_SAMPLE_MS = 25;
/** After so many samples that moved nothing they come less often: a PING wakes both ends, and small traffic never sleeps. */
const STEADY_SAMPLES = 20;
const STEADY_SAMPLE_MS = 250;
/** Samples without {@link WAKING_BYTES} after which a tunnel sleeps again. */
const QUIET_SAMPLES = 20;
/** So many samples in a row must be quiet, with nothing held, before the path counts as idle. */
const IDLE_SAMPLES = 4;
/** What two event loops of a busy machine need to answer: less is no round trip to size a window by, ms. */
const LEAST_RTT_MS = 4;
/** So long without more streams than ever, and a crowd counts as settled, ms. */
const SETTLED_MS = 1_000;
/** A best rate that is older than so many samples counts for half. */
const RATE_SAMPLES = 40;

/** What the windows of one side are made from. */
export interface WindowTunerOptions {
  /** The streams that the tunnel carries now. */
  readonly streams: Iterable<Http2Stream> & { readonly size: number };
  /** What each of them takes beyond its window while nobody reads it, bytes. */
  readonly readAheadBytes: number;
  readonly budget: MemoryBudget;
  readonly liveness: Liveness;
}

/** What a tunnel's windows are, and what they let it hold. */
export interface WindowStats {
  /** Window of each stream, bytes. */
  readonly streamWindowBytes: number;
  /** Window of all streams together, bytes. */
  readonly tunnelWindowBytes: number;
  /** Received and not yet taken by a reader, bytes. */
  readonly heldBytes: number;
}

/**
 * Lets the windows of one side of a tunnel follow the path (design, section 3.4): what a sender may have under way is three
 * times the best received rate times the least round trip, and four times the present window while the rate is the
 * window's doing. A stream's window is at most its share of the tunnel's memory, whatever the path: the sum of what
 * stalled readers can hold is bounded by that. It is small where the process's budget is nearly held.
 *
 * Samples are PINGs, taken only while bytes arrive; a tunnel that sleeps costs one look at a counter.
 */
export class WindowTuner implements Holder {
  readonly #session: Http2Session;
  readonly #socket: Socket;
  readonly #streams: WindowTunerOptions['streams'];
  readonly #readAheadBytes: number;
  readonly #budget: MemoryBudget;
  readonly #liveness: Liveness;
  #streamWindow = FIRST_STREAM_WINDOW_BYTES;
  #tunnelWindow = FIRST_TUNNEL_WINDOW_BYTES;
  #seenBytes = 0;
  /** Held bytes, as the budget knows them. */
  #noted = 0;
  #awake = false;
  #quietSamples = 0;
  /** Since the window moved, or the tunnel woke. */
  #steadySamples = 0;
  #settling = false;
  #sampledAt = 0;
  #sampledBytes = 0;
  #leastRttMs = Number.POSITIVE_INFINITY;
  #idleSamples = 0;
  /** The least of the present run of idle samples. */
  #idleRttMs = Number.POSITIVE_INFINITY;
  #bestRate = 0;
  #bestRateAge = 0;
  /** The most streams of the present crowd, and when they came to be so many. */
  #mostStreams = 0;
  #mostStreamsAt = 0;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(session: Http2Session, socket: Socket, options: WindowTunerOptions) {
    this.#session = session;
    this.#socket = socket;
    this.#streams = options.streams;
    this.#readAheadBytes = options.readAheadBytes;
    this.#budget = options.budget;
    this.#liveness = options.liveness;
    this.#budget.add(this);
  }

  get stats(): WindowStats {
    return {
      streamWindowBytes: this.#streamWindow,
      tunnelWindowBytes: this.#tunnelWindow,
      heldBytes: this.#heldBytes(),
    };
  }

  /** To be called once the session is connected: each side raises the window on which it receives. */
  start(): void {
    this.#session.setLocalWindowSize(this.#tunnelWindow);
  }

  /** A stream was added: its share of the memory may be smaller than the window. */
  streamAdded(): void {
    const { size } = this.#streams;
    if (size === 1 && !this.#awake && !this.#stopped) lookAt(this);
    if (size > this.#mostStreams || size < this.#mostStreams / 2) {
      this.#mostStreams = size;
      this.#mostStreamsAt = performance.now();
    }
    const largest = this.#largestWindow();
    if (this.#streamWindow > largest) this.#apply(largest);
  }

  budgetOnMove(): void {
    const window = Math.min(this.#largestWindow(), Math.max(FIRST_STREAM_WINDOW_BYTES, this.#streamWindow));
    if (window !== this.#streamWindow) this.#apply(window);
  }

  stop(): void {
    this.#stopped = true;
    this.#budget.remove(this);
    sleeping.delete(this);
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** Wakes the tuner when bytes arrived since the last look. A tunnel without streams gets nothing but PINGs: not looked at. */
  look(): void {
    if (this.#streams.size === 0 && this.#noted === 0) {
      sleeping.delete(this);
      return;
    }
    const bytes = this.#socket.bytesRead;
    if (bytes === this.#seenBytes && this.#noted === 0) return;
    this.#note();
    if (bytes - this.#seenBytes >= WAKING_BYTES) this.#wake();
    this.#seenBytes = bytes;
  }

  #wake(): void {
    if (this.#awake || this.#stopped) return;
    this.#awake = true;
    // What came since the last look is the first rate: over a long path the next one is a round trip away.
    this.#sampledAt = performance.now() - LOOK_INTERVAL_MS;
    this.#sampledBytes = this.#seenBytes;
    this.#quietSamples = 0;
    this.#steadySamples = 0;
    sleeping.delete(this);
    this.#sample();
  }

  #sleep(): void {
    this.#awake = false;
    this.#bestRate = 0;
    this.#seenBytes = this.#socket.bytesRead;
    if (!this.#stopped) lookAt(this);
  }

  #sample(): void {
    this.#timer = null;
    if (this.#stopped || this.#session.destroyed) return;
    const bytesBefore = this.#socket.bytesRead;
    const now = performance.now();
    // From sample to sample: what comes between a PING and its answer may have waited in the kernel before.
    this.#noteRate((bytesBefore - this.#sampledBytes) / (now - this.#sampledAt));
    this.#sampledAt = now;
    this.#sampledBytes = bytesBefore;
    const sent = this.#session.ping((error, durationMs) => {
      if (error !== null || this.#stopped) return;
      this.#judge(this.#socket.bytesRead - bytesBefore, durationMs);
    });
    // Too many are outstanding: the path is stuck, and there is nothing to learn from it now.
    if (!sent) this.#sleep();
  }

  #judge(bytes: number, durationMs: number): void {
    const quiet = bytes < WAKING_BYTES;
    const held = this.#note();
    this.#noteRoundTrip(durationMs, quiet && held === 0);
    const underWay = this.#bestRate * Math.max(LEAST_RTT_MS, this.#leastRttMs);
    // Where bytes wait for their readers the window is not what limits the rate.
    const limited = underWay >= this.#streamWindow / 2 && held < this.#streamWindow / 4;
    const wanted = Math.max(HEADROOM * underWay, limited ? STEP * this.#streamWindow : 0);
    const window = Math.min(this.#largestWindow(), Math.max(FIRST_STREAM_WINDOW_BYTES, Math.round(wanted)));
    if (window >= LEAST_CHANGE * this.#streamWindow || this.#streamWindow > this.#largestWindow()) this.#apply(window);
    this.#quietSamples = quiet ? this.#quietSamples + 1 : 0;
    if (this.#quietSamples >= QUIET_SAMPLES) {
      this.#sleep();
      return;
    }
    this.#steadySamples += 1;
    const intervalMs = this.#steadySamples < STEADY_SAMPLES ? LEAST_SAMPLE_MS : STEADY_SAMPLE_MS;
    this.#timer = setTimeout(() => this.#sample(), Math.max(0, intervalMs - durationMs));
    this.#timer.unref();
  }

  /** Grows with the load, also while a busy process lets few bytes through: only a path that is idle may raise the least one. */
  #noteRoundTrip(durationMs: number, idle: boolean): void {
    this.#idleSamples = idle ? this.#idleSamples + 1 : 0;
    this.#idleRttMs = idle ? Math.min(this.#idleRttMs, durationMs) : Number.POSITIVE_INFINITY;
    // A transfer that begins at once leaves no idle sample; the tunnel's own pings have one.
    this.#leastRttMs = Math.min(this.#leastRttMs, durationMs, this.#liveness.rttMs ?? durationMs);
    if (this.#idleSamples >= IDLE_SAMPLES) this.#leastRttMs = this.#idleRttMs;
  }

  #noteRate(rate: number): void {
    this.#bestRateAge += 1;
    if (this.#bestRateAge >= RATE_SAMPLES) {
      this.#bestRate /= 2;
      this.#bestRateAge = 0;
    }
    if (rate < this.#bestRate) return;
    this.#bestRate = rate;
    this.#bestRateAge = 0;
  }

  #heldBytes(): number {
    let bytes = 0;
    for (const stream of this.#streams) bytes += stream.readableLength;
    return bytes;
  }

  /** Tells the budget what is held, and gives it. */
  #note(): number {
    this.#noted = this.#heldBytes();
    this.#budget.note(this, this.#noted);
    return this.#noted;
  }

  #largestWindow(): number {
    const { tunnelBytes, largestWindowBytes } = this.#budget;
    const [streams, heldBytes, readAheadBytes] = [this.#streams.size, this.#noted, this.#readAheadBytes];
    const isSettled = performance.now() - this.#mostStreamsAt >= SETTLED_MS;
    return Math.min(windowShare({ tunnelBytes, streams, heldBytes, readAheadBytes, isSettled }), largestWindowBytes);
  }

  /** One SETTINGS in flight at a time. */
  #apply(streamWindow: number): void {
    if (this.#settling || this.#stopped || this.#session.destroyed) return;
    this.#settling = true;
    this.#steadySamples = 0;
    this.#streamWindow = streamWindow;
    this.#session.settings({ initialWindowSize: streamWindow }, () => {
      this.#settling = false;
      this.budgetOnMove();
    });
    const tunnelWindow = Math.min(LARGEST_TUNNEL_WINDOW_BYTES, TUNNEL_WINDOW_STREAMS * streamWindow);
    if (tunnelWindow <= this.#tunnelWindow) return;
    this.#tunnelWindow = tunnelWindow;
    // Its WINDOW_UPDATE goes out with the SETTINGS above; alone it would wait for another frame.
    this.#session.setLocalWindowSize(tunnelWindow);
  }
}

const sleeping = new Set<WindowTuner>();
let looking: NodeJS.Timeout | null = null;

function lookAt(tuner: WindowTuner): void {
  sleeping.add(tuner);
  if (looking !== null) return;
  looking = setInterval(lookAtAll, LOOK_INTERVAL_MS);
  looking.unref();
}

function lookAtAll(): void {
  for (const tuner of sleeping) tuner.look();
  if (sleeping.size > 0 || looking === null) return;
  clearInterval(looking);
  looking = null;
}
