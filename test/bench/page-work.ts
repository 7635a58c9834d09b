/** One event of a trace of Chromium. Times are us. */
interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  /** CPU of the thread in it; unlike `dur` it has no waiting for a core that others use. */
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

/** What a page's thread did: scripts, style, layout, painting. */
export interface PageWork {
  /** The longest time between two turns of its event loop, ms. */
  readonly longestTaskMs: number;
  /** CPU of the busiest frame, ms: of the task that ends in it, and of the longest since the frame before, which it had to wait for. */
  readonly busiestFrameCpuMs: number;
  readonly frames: number;
}

/** Trace categories that {@link pageWork} reads. */
export const CATEGORIES = ['devtools.timeline', 'disabled-by-default-devtools.timeline', 'toplevel', '__metadata'];

const TASK = 'RunTask';
/** The end of a frame: what was painted is handed to the compositor. */
const FRAME = 'Commit';

/** Reads a trace of one page, as `browser.stopTracing()` gives it. */
export function pageWork(trace: Buffer): PageWork {
  const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: readonly TraceEvent[] };
  const thread = busiestPage(traceEvents);
  const own = traceEvents.filter(({ pid, tid }) => `${pid}/${tid}` === thread).toSorted((a, b) => a.ts - b.ts);
  let [longest, busiest, frames, task, waitedFor] = [0, 0, 0, 0, 0];
  for (const { name, dur = 0, tdur = 0 } of own) {
    if (name === TASK) {
      longest = Math.max(longest, dur);
      waitedFor = Math.max(waitedFor, task);
      task = tdur;
    }
    // It lies within its task.
    if (name === FRAME) {
      frames += 1;
      busiest = Math.max(busiest, task + waitedFor);
      [task, waitedFor] = [0, 0];
    }
  }
  // What came after the last frame would have been in the next one.
  busiest = Math.max(busiest, task, waitedFor);
  return { longestTaskMs: longest / 1_000, busiestFrameCpuMs: busiest / 1_000, frames };
}

/** Of the main threads of all renderers; the others have nothing to do. */
function busiestPage(events: readonly TraceEvent[]): string {
  const busy = new Map<string, number>();
  for (const { name, args, pid, tid } of events) {
    if (name === 'thread_name' && args?.name === 'CrRendererMain') busy.set(`${pid}/${tid}`, 0);
  }
  for (const { name, pid, tid, dur = 0 } of events) {
    const before = busy.get(`${pid}/${tid}`);
    if (name === TASK && before !== undefined) busy.set(`${pid}/${tid}`, before + dur);
  }
  const [[thread] = []] = Array.from(busy).toSorted(([, a], [, b]) => b - a);
  if (thread === undefined) throw new Error('no page in the trace');
  return thread;
}
