import { type BenchSettings, type Figure, figure, type Limit } from './bench.ts';
import { type LoadGenerator, type MeasuredLoad, measureLoad } from './load.ts';

/** Kept-alive visitors of each load. */
export const VISITORS = 64;

/** A system under load: where visitors connect, and the processes whose CPU counts. */
export interface LoadedSystem {
  readonly name: string;
  readonly url: string;
  readonly pids: readonly number[];
}

/** What is required of the ratio of two systems. */
export interface LoadLimits {
  readonly cpu?: Limit;
  readonly rate?: Limit;
}

/**
 * Puts the same load on a peer and on ours, in turns, and compares them round by round: what else the machine does
 * changes slowly and hits both.
 */
export async function compareLoads(
  view: string,
  generator: LoadGenerator,
  { rounds, seconds }: BenchSettings,
  [peer, own]: readonly [peer: LoadedSystem, own: LoadedSystem],
  limits: LoadLimits = {},
): Promise<Figure[]> {
  const load = ({ url, pids }: LoadedSystem): Promise<MeasuredLoad> =>
    measureLoad(generator, { url, visitors: VISITORS, seconds, pids });
  // Not counted: until compilers and pools have settled.
  await load(peer);
  await load(own);
  const peers: MeasuredLoad[] = [];
  const owns: MeasuredLoad[] = [];
  for (let round = 0; round < rounds; round += 1) {
    peers.push(await load(peer));
    owns.push(await load(own));
  }
  const both = `${own.name} / ${peer.name}`;
  const cpu = (loads: readonly MeasuredLoad[]): number[] => loads.map((one) => one.cpuMicrosPerRequest);
  const rate = (loads: readonly MeasuredLoad[]): number[] => loads.map((one) => one.requestsPerSecond);
  return [
    figure(peer.name, `CPU a request (${view})`, 'us', cpu(peers)),
    figure(own.name, `CPU a request (${view})`, 'us', cpu(owns)),
    figure(both, `CPU a request (${view})`, 'x', ratios(cpu(owns), cpu(peers)), limits.cpu),
    figure(peer.name, `rate (${view})`, 'requests/s', rate(peers)),
    figure(own.name, `rate (${view})`, 'requests/s', rate(owns)),
    figure(both, `rate (${view})`, 'x', ratios(rate(owns), rate(peers)), limits.rate),
  ];
}

/** Round by round, ours as a multiple of the peer's. */
export function ratios(owns: readonly number[], peers: readonly number[]): number[] {
  return owns.map((own, round) => own / (peers[round] ?? Number.NaN));
}
