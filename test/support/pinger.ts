import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 20;

/** How long a stream that lives on under a load takes for one exchange. */
export interface PingTimes {
  readonly count: number;
  /** Milliseconds. */
  readonly median: number;
  readonly p99: number;
  readonly most: number;
}

/** Sends `ping` on an open stream, waits for `pong`, and again, until it is stopped; fails where the stream does. */
export function startPinger(stream: Duplex): { stop(): Promise<PingTimes> } {
  const times: number[] = [];
  let stopped = false;
  const lost = once(stream, 'close').then(() => Promise.reject(new Error('the stream beside the storm was lost')));
  lost.catch(() => {});
  const run = (async () => {
    while (!stopped) {
      const begun = performance.now();
      stream.write('ping');
      const [chunk] = (await Promise.race([once(stream, 'data'), lost])) as [Buffer];
      if (chunk.toString() !== 'pong') throw new Error(`the stream beside the storm got ${chunk.toString()}`);
      times.push(performance.now() - begun);
      await sleep(PAUSE_MS);
    }
  })();
  run.catch(() => {});
  return {
    async stop() {
      stopped = true;
      await run;
      times.sort((a, b) => a - b);
      const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
      return { count: times.length, median: at(0.5), p99: at(0.99), most: at(1) };
    },
  };
}
