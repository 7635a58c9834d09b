import { cpuSecondsOf, residentBytes } from './process-figures.ts';

/** Longest wait for a state to settle, ms. */
const DEADLINE_MS = 120_000;

/** Resolves when these processes did next to nothing for half a second: what was under way is over. */
export async function untilIdle(pids: readonly number[]): Promise<void> {
  await untilSteady(
    500,
    () => cpuSecondsOf(pids),
    (before, after) => after - before <= 0.02,
  );
}

/** Resolves with the resident memory of each process, bytes, once it has not moved by 1 % for 2 s. */
export async function settledBytes(pids: readonly number[]): Promise<number[]> {
  const sum = (): number => pids.reduce((total, pid) => total + residentBytes(pid), 0);
  await untilIdle(pids);
  await untilSteady(2_000, sum, (before, after) => Math.abs(after - before) < before / 100);
  return pids.map(residentBytes);
}

async function untilSteady(
  intervalMs: number,
  read: () => number,
  steady: (before: number, after: number) => boolean,
): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  for (let before = read(); ; ) {
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
    const after = read();
    if (steady(before, after)) return;
    if (performance.now() > end) throw new Error(`nothing settled within ${DEADLINE_MS} ms`);
    before = after;
  }
}
