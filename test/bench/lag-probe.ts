import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Loaded into a process by `--import`: tells its event loop's delay since it was last asked, p99 in ms. */
const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();

process.on('message', (message) => {
  if (message !== 'lag') return;
  // The timer that measures is itself late by its resolution.
  process.send?.({ lagMs: Math.max(0, delay.percentile(99) / 1e6 - 5) });
  delay.reset();
});
process.channel?.unref();
