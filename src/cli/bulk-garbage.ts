import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Between two looks, ms: a look costs some microseconds; at 5 Gbit/s 12 MB pass in the meantime. Collections are to come before
 * 64 MB lie outside the heap: from there V8 marks all of it, in another thread, again and again (a sixth of a server's CPU).
 */
const LOOK_INTERVAL_MS = 20;
/** The same where nothing passes: looks are most of what an idle process does. */
const IDLE_LOOK_INTERVAL_MS = 200;
/** Less growth between two looks is nothing that passes, bytes. */
const IDLE_BYTES = 1024 * 1024;
/** So many such looks in a row and they come rarely: a transfer stands still for a look or two, again and again. */
const IDLE_LOOKS = 10;
/** Growth of memory outside the heap after which the young generation is collected, bytes. */
const YOUNG_STEP_BYTES = 16 * 1024 * 1024;
/** Growth that young collections left, after which everything is: buffers that had to wait are not young any more. */
const FULL_STEP_BYTES = 32 * 1024 * 1024;
/**
 * A burst (so much CPU, us, above what a quiet process takes) that left so much outside the heap, bytes, is followed by a full
 * collection once so many looks in a row saw the process quiet: what it leaves did not grow, so that nothing else would ever
 * collect it. That one also gives back the room that the heap took for the burst, some 30 MB, and takes 45 to 75 ms.
 */
const BURST_CPU_US = 200_000;
const BURST_BYTES = 64 * 1024 * 1024;
const QUIET_LOOKS = 6;
/** Most CPU of a quiet process between two looks, us; in an idle look's interval it is none of a burst's either. */
const QUIET_CPU_US = 5_000;
/**
 * How far memory may grow past what is alive before V8 collects everything by itself, bytes. By default a heap as small as a
 * program's leaves room for some 20 MB, which a bulk transfer passes between two looks: a full collection (50 to 80 ms) every
 * 200 ms was half of all CPU.
 */
const ROOM_BYTES = 64 * 1024 * 1024;
/** Of a large heap this share of it is room, percent of what is alive. */
const LEAST_ROOM_PERCENT = 100;

type CollectGarbage = (options: { type: 'minor' | 'major'; flavor?: 'last-resort' }) => void;

const COLLECTIONS = {
  /** The young generation alone. */
  minor: { type: 'minor' },
  major: { type: 'major' },
  /** Gives memory back to the system, too. */
  lastResort: { type: 'major', flavor: 'last-resort' },
} as const satisfies Record<string, Parameters<CollectGarbage>[0]>;

type Collection = keyof typeof COLLECTIONS;

/** Node's `gc`, without its flag. */
export function garbageCollector(): CollectGarbage {
  setFlagsFromString('--expose-gc');
  const collect: CollectGarbage = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return collect;
}

/**
 * Collects the buffers of bytes that went through, from now on, for the life of the process. V8 starts by itself only when
 * the heap has grown, which thousands of small handles of large buffers hardly do, or when 64 MB lie outside it: that is
 * what each bulk transfer would cost in resident memory. A young collection takes about 1 ms.
 *
 * For programs, not for libraries: V8's flags are the process's.
 */
export function collectBulkGarbage(): void {
  const roomPercent = Math.round((ROOM_BYTES / getHeapStatistics().used_heap_size) * 100);
  setFlagsFromString(`--heap-growing-percent=${Math.max(LEAST_ROOM_PERCENT, roomPercent)}`);
  const collect = garbageCollector();
  const watch = new GarbageWatch(outsideHeap());
  const look = (): void => {
    const collection = watch.look(outsideHeap(), cpuMicros());
    setTimeout(look, watch.nextLookMs).unref();
    if (collection === null) return;
    collect(COLLECTIONS[collection]);
    watch.collected(collection, outsideHeap(), cpuMicros());
  };
  setTimeout(look, LOOK_INTERVAL_MS).unref();
}

/** When what is collected. Bytes are those outside the heap, CPU is what the process took so far, us. */
export class GarbageWatch {
  // A collection gives memory back a moment after it returned: what it left is the least of what is seen until the next one.
  #afterYoung: number;
  #afterFull: number;
  #last: number;
  #idleLooks = 0;
  #nextLookMs = LOOK_INTERVAL_MS;
  #quietLooks = 0;
  #lastCpu = 0;
  #burstCpu = 0;
  #isAfterBurst = false;

  constructor(bytes: number) {
    this.#afterYoung = bytes;
    this.#afterFull = bytes;
    this.#last = bytes;
  }

  /** In how many ms to look again. */
  get nextLookMs(): number {
    return this.#nextLookMs;
  }

  /** What is to be collected now; {@link collected} follows. */
  look(bytes: number, cpu: number): Collection | null {
    const isIdle = Math.abs(bytes - this.#last) < IDLE_BYTES;
    const spent = cpu - this.#lastCpu;
    // An idle server of thousands of tunnels takes 2 % of a core for ever.
    const quiet = (QUIET_CPU_US * this.#nextLookMs) / IDLE_LOOK_INTERVAL_MS;
    this.#burstCpu = Math.max(0, this.#burstCpu + spent - quiet);
    if (this.#burstCpu >= BURST_CPU_US) this.#isAfterBurst = true;
    const isRare = this.#nextLookMs === IDLE_LOOK_INTERVAL_MS;
    this.#idleLooks = isIdle ? this.#idleLooks + 1 : 0;
    this.#nextLookMs = this.#idleLooks >= IDLE_LOOKS ? IDLE_LOOK_INTERVAL_MS : LOOK_INTERVAL_MS;
    this.#quietLooks = isIdle && isRare && spent < QUIET_CPU_US ? this.#quietLooks + 1 : 0;
    this.#lastCpu = cpu;
    this.#last = bytes;
    this.#afterYoung = Math.min(this.#afterYoung, bytes);
    this.#afterFull = Math.min(this.#afterFull, bytes);
    if (this.#isAfterBurst && bytes >= BURST_BYTES && this.#quietLooks >= QUIET_LOOKS) return 'lastResort';
    if (bytes - this.#afterYoung < YOUNG_STEP_BYTES) return null;
    return this.#afterYoung - this.#afterFull >= FULL_STEP_BYTES ? 'major' : 'minor';
  }

  /** What was collected, and what is left. */
  collected(collection: Collection, bytes: number, cpu: number): void {
    this.#afterYoung = bytes;
    if (collection !== 'minor') this.#afterFull = bytes;
    if (collection !== 'lastResort') return;
    this.#lastCpu = cpu;
    this.#burstCpu = 0;
    this.#isAfterBurst = false;
  }
}

function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function outsideHeap(): number {
  return getHeapStatistics().external_memory;
}
