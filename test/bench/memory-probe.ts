import type { HeapFigures } from './heap.ts';

// Loaded into a measured process with `--import`: answers each message of the bench with what the process holds after
// a garbage collection. Does not keep the process alive.
process.on('message', () => {
  // Twice: the first run only queues what finalizers free.
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  process.send?.({ heapUsed, external, arrayBuffers } satisfies HeapFigures);
});
process.channel?.unref();
