import { cpuSeconds, residentBytes } from '../bench/process-figures.ts';
import type { PingTimes } from '../support/pinger.ts';

/** Begins to measure processes; what comes back ends it and says what each reset cost them. */
export function measure(pids: Readonly<Record<string, number>>): (resets: number, seconds: number) => string {
  const before = Object.entries(pids).map(([name, pid]) => ({
    name,
    pid,
    cpu: cpuSeconds(pid),
    resident: residentBytes(pid),
  }));
  return (resets, seconds) =>
    before
      .map(({ name, pid, cpu, resident }) => {
        const spent = cpuSeconds(pid) - cpu;
        const grown = (residentBytes(pid) - resident) / 1e6;
        const share = `${((spent / resets) * 1e6).toFixed(0)} us each, ${((spent / seconds) * 100).toFixed(0)} % of a core`;
        return `${name} ${share}, ${grown.toFixed(0)} MB more than before`;
      })
      .join('; ');
}

/** What a stream beside the storm saw, in words. */
export function told({ count, median, p99, most }: PingTimes): string {
  return `beside it ${count} exchanges of ${median.toFixed(0)} ms (p99 ${p99.toFixed(0)}, most ${most.toFixed(0)})`;
}
