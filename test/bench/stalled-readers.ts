import { startBackdial } from './backdial.ts';
import { type Bench, type Figure, figure } from './bench.ts';
import { ratios } from './compare-loads.ts';
import { boundUnsent } from './kernel-buffers.ts';
import { startTarget } from './nginx.ts';
import { settledBytes, untilIdle } from './settle.ts';
import { spread } from './statistics.ts';
import { download, openStalledReader } from './visitors.ts';

/** The answer of which each of {@link MANY} visitors reads nothing. */
const ANSWER_BYTES = 10_000_000;
const MANY = 1_000;
const FEW = 100;
/**
 * All ends of all connections are in one kernel here, whose buffers for TCP have a common limit: once 1,000 connections of the
 * target have used it up, it drops what arrives on any connection. Those of the server have the bound of {@link boundUnsent}.
 */
const SEND_BUFFER_BYTES = 65_536;
/** Visitors that connect at the same time: below what a listener keeps waiting. */
const BATCH = 50;

/** Of a speed, alone and beside: the middle of so many is taken, for one may meet a collection or another process. */
const MEASURES = 5;

/** 100 visitors of one tunnel stop reading: what that takes from a healthy one, and what memory they hold. */
export const stalledReaders: Bench = {
  name: 'stalled-readers',
  title: `TCP way in, one tunnel, ${FEW} readers that stopped reading: speed of a healthy download beside them`,
  tools: ['nginx', 'openssl'],
  run: ({ rounds, transferBytes }) => stall({ readers: FEW, connections: 1, rounds, transferBytes }),
};

/** 1,000 visitors of a domain take nothing of an answer of 10 MB. */
export const manyStalledReaders: Bench = {
  name: 'many-stalled-readers',
  title: `TCP way in, ${MANY} readers of 10 MB that read nothing: memory, and speed of a healthy download beside them`,
  tools: ['nginx', 'openssl'],
  run: ({ rounds }) =>
    stall({
      readers: MANY,
      concurrency: 2 * MANY,
      transferBytes: ANSWER_BYTES,
      // So many one after the other are one healthy visitor: one alone is over before anything can be seen.
      downloads: 20,
      rounds,
      limitMb: 150,
    }),
};

interface Stall {
  readonly readers: number;
  readonly connections?: number;
  readonly concurrency?: number;
  readonly rounds: number;
  readonly transferBytes: number;
  /** How many downloads, one after the other, the speed is measured over. Default 1. */
  readonly downloads?: number;
  /** Growth that is allowed to each process, MB. Default: it informs. */
  readonly limitMb?: number;
}

async function stall(given: Stall): Promise<Figure[]> {
  const { readers, rounds, transferBytes, downloads = 1, limitMb, ...bounds } = given;
  await using _bound = readers < MANY ? null : boundUnsent();
  await using target = await startTarget(transferBytes, { sendBufferBytes: SEND_BUFFER_BYTES });
  await using backdial = await startBackdial({ targetPort: target.port, ...bounds });
  const gigabits = async (): Promise<number> => {
    const all: number[] = [];
    while (all.length < MEASURES) {
      const start = performance.now();
      for (let done = 0; done < downloads; done += 1) await download(backdial.tcpPort, transferBytes);
      all.push((downloads * transferBytes * 8) / 1e6 / (performance.now() - start));
    }
    return spread(all).median;
  };

  await gigabits();
  // Of all rounds: what the first one took from the system, the others find in the process.
  const before = await settledBytes(backdial.pids);
  const solo: number[] = [];
  const beside: number[] = [];
  const held: [server: number[], agent: number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    await untilIdle(backdial.pids);
    solo.push(await gigabits());
    const stalled = await openStalled(backdial.tcpPort, readers);
    // Until all windows and all buffers of kernels are full.
    const after = await settledBytes(backdial.pids);
    for (const [index, values] of held.entries()) values.push(((after[index] ?? 0) - (before[index] ?? 0)) / 2 ** 20);
    beside.push(await gigabits());
    for (const socket of stalled) socket.resetAndDestroy();
  }
  const limit = limitMb === undefined ? undefined : { atMost: limitMb };
  const growth = `resident for ${readers} stalled readers`;
  return [
    figure('backdial', 'download alone', 'Gbit/s', solo),
    figure('backdial', `download beside ${readers} stalled readers`, 'Gbit/s', beside),
    figure('backdial', 'of its speed alone', 'x', ratios(beside, solo), { atLeast: 0.8 }),
    figure('backdial server', growth, 'MB', held[0], limit),
    figure('backdial agent', growth, 'MB', held[1], limit),
  ];
}

async function openStalled(port: number, count: number): Promise<Awaited<ReturnType<typeof openStalledReader>>[]> {
  const sockets = [];
  while (sockets.length < count) {
    const size = Math.min(BATCH, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: size }, () => openStalledReader(port)))));
  }
  return sockets;
}
