import { startBackdial } from './backdial.ts';
import { type Bench, figure } from './bench.ts';
import { ratios } from './compare-loads.ts';
import { startTarget } from './nginx.ts';
import { residentBytes } from './process-figures.ts';
import { untilIdle } from './settle.ts';
import { download, openStalledReader } from './visitors.ts';

const STALLED = 100;

/** 100 visitors of one tunnel stop reading: what that takes from a healthy one, and what memory they hold. */
export const stalledReaders: Bench = {
  name: 'stalled-readers',
  title: `TCP way in, one tunnel, ${STALLED} readers that stopped reading: speed of a healthy download beside them`,
  tools: ['nginx', 'openssl'],
  async run({ rounds, transferBytes }) {
    await using target = await startTarget(transferBytes);
    await using backdial = await startBackdial({ targetPort: target.port, connections: 1 });
    const gigabits = async (): Promise<number> => {
      const start = performance.now();
      await download(backdial.tcpPort, transferBytes);
      return (transferBytes * 8) / 1e6 / (performance.now() - start);
    };
    const resident = (): number => backdial.pids.reduce((sum, pid) => sum + residentBytes(pid), 0) / 2 ** 20;

    await gigabits();
    const solo: number[] = [];
    const beside: number[] = [];
    const held: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      await untilIdle(backdial.pids);
      solo.push(await gigabits());
      const before = resident();
      const stalled = await Promise.all(Array.from({ length: STALLED }, () => openStalledReader(backdial.tcpPort)));
      await untilIdle(backdial.pids);
      held.push(resident() - before);
      beside.push(await gigabits());
      for (const socket of stalled) socket.resetAndDestroy();
    }
    return [
      figure('backdial', 'download alone', 'Gbit/s', solo),
      figure('backdial', `download beside ${STALLED} stalled readers`, 'Gbit/s', beside),
      figure('backdial', 'of its speed alone', 'x', ratios(beside, solo), { atLeast: 0.8 }),
      figure('backdial', `resident for ${STALLED} stalled readers, both processes`, 'MB', held),
    ];
  },
};
