import { startBackdial } from './backdial.ts';
import { type Bench, type Figure, figure, type Limit } from './bench.ts';
import { ratios } from './compare-loads.ts';
import { startTarget } from './nginx.ts';
import { cpuSecondsOf } from './process-figures.ts';
import { startRathole } from './rathole.ts';
import { startReverseSsh } from './ssh.ts';
import { download, upload } from './visitors.ts';

/** What is required of Backdial as a multiple of rathole, by the number of streams. */
const LOADS: readonly { streams: number; rate: Limit; cpu?: Limit }[] = [
  { streams: 1, rate: { atLeast: 1 }, cpu: { atMost: 0.75 } },
  { streams: 8, rate: { atLeast: 1.3 } },
];

const DIRECTIONS = [
  { name: 'download', transfer: download },
  { name: 'upload', transfer: upload },
];

/** Transfers over one and over eight streams, both ways: speed and CPU a byte against rathole, `ssh -R` beside them. */
export const bulk: Bench = {
  name: 'bulk',
  title: 'TCP way in, downloads and uploads; peers: rathole with the noise transport, ssh -R',
  tools: ['nginx', 'openssl', 'rathole', 'ssh', 'sshd', 'ssh-keygen'],
  async run({ rounds, transferBytes }) {
    await using target = await startTarget(transferBytes);
    await using rathole = await startRathole(target.port);
    await using ssh = await startReverseSsh(target.port);
    await using backdial = await startBackdial({ targetPort: target.port });
    const systems: readonly System[] = [
      { name: 'rathole', port: rathole.port, pids: rathole.pids },
      { name: 'backdial', port: backdial.tcpPort, pids: backdial.pids },
      { name: 'ssh -R', port: ssh.port, pids: ssh.pids },
    ];
    const figures: Figure[] = [];
    for (const { streams, rate, cpu } of LOADS) {
      for (const { name, transfer } of DIRECTIONS) {
        const view = `${name}, ${streams} ${streams === 1 ? 'stream' : 'streams'}`;
        const measured = systems.map((): Transferred[] => []);
        // Not counted: until compilers and windows have settled.
        for (const { port } of systems) await transfer(port, transferBytes);
        for (let round = 0; round < rounds; round += 1) {
          for (const [index, system] of systems.entries()) {
            const run = (): Promise<void> => transfer(system.port, transferBytes);
            measured[index]?.push(await measure(system, streams, transferBytes, run));
          }
        }
        const [peer = [], own = []] = measured;
        for (const [index, system] of systems.entries()) {
          const all = measured[index] ?? [];
          figures.push(figure(system.name, view, 'Gbit/s', all.map(speedOf)));
          figures.push(figure(system.name, `CPU, ${view}`, 'ns a byte', all.map(costOf)));
        }
        const both = 'backdial / rathole';
        figures.push(figure(both, view, 'x', ratios(own.map(speedOf), peer.map(speedOf)), rate));
        figures.push(figure(both, `CPU, ${view}`, 'x', ratios(own.map(costOf), peer.map(costOf)), cpu));
      }
    }
    return figures;
  },
};

interface System {
  readonly name: string;
  readonly port: number;
  readonly pids: readonly number[];
}

interface Transferred {
  readonly gigabits: number;
  readonly nanosAByte: number;
}

const speedOf = ({ gigabits }: Transferred): number => gigabits;
const costOf = ({ nanosAByte }: Transferred): number => nanosAByte;

/** So many transfers at the same time. */
async function measure(
  { pids }: System,
  streams: number,
  transferBytes: number,
  transfer: () => Promise<void>,
): Promise<Transferred> {
  const cpu = cpuSecondsOf(pids);
  const start = performance.now();
  await Promise.all(Array.from({ length: streams }, transfer));
  const bytes = transferBytes * streams;
  return {
    gigabits: (bytes * 8) / 1e6 / (performance.now() - start),
    nanosAByte: ((cpuSecondsOf(pids) - cpu) * 1e9) / bytes,
  };
}
