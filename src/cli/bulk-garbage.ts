import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Between two looks, ms: a look costs some microseconds; at 3 Gbit/s 19 MB pass in the meantime. */
const LOOK_INTERVAL_MS = 50;
/** Growth of memory outside the heap after which the young generation is collected, bytes. */
const YOUNG_STEP_BYTES = 16 * 1024 * 1024;
/** Growth that young collections left, after which everything is: buffers that had to wait are not young any more. */
const FULL_STEP_BYTES = 32 * 1024 * 1024;

/** `last-resort`: gives memory back to the system, too. */
type CollectGarbage = (options: { type: 'minor' | 'major'; flavor?: 'last-resort' }) => void;

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
  const collect = garbageCollector();
  let afterYoung = outsideHeap();
  let afterFull = afterYoung;
  const look = (): void => {
    const bytes = outsideHeap();
    // What was let go of meanwhile makes room for as much again.
    afterYoung = Math.min(afterYoung, bytes);
    afterFull = Math.min(afterFull, bytes);
    if (bytes - afterYoung < YOUNG_STEP_BYTES) return;
    collect({ type: 'minor' });
    afterYoung = outsideHeap();
    if (afterYoung - afterFull < FULL_STEP_BYTES) return;
    collect({ type: 'major' });
    afterYoung = outsideHeap();
    afterFull = afterYoung;
  };
  setInterval(look, LOOK_INTERVAL_MS).unref();
}

function outsideHeap(): number {
  return getHeapStatistics().external_memory;
}
