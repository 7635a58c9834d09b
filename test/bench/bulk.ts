import { startBackdial } from './backdial.ts';
import { type Bench, type Figure, figure } from './bench.ts';
import { startTarget } from './nginx.ts';
import { cpuSecondsOf } from './process-figures.ts';
import { startRathole } from './rathole.ts';
import { startReverseSsh } from './ssh.ts';
import { download } from './visitors.ts';

const STREAM_COUNTS = [1, 8];

/** Downloads over one and over eight streams: speed and CPU a byte, beside rathole and `ssh -R`. Informs only. */
export const bulk: Bench = {
  name: 'bulk',
  title: 'TCP way in, downloads; peers: rathole with the noise transport, ssh -R',
  tools: ['nginx', 'openssl', 'rathole', 'ssh', 'sshd', 'ssh-keygen'],
  async run({ rounds, transferBytes }) {
    await using target = await startTarget(transferBytes);
    await using rathole = await startRathole(target.port);
    await using ssh = await startReverseSsh(target.port);
    await using backdial = await startBackdial({ targetPort: target.port });
    const systems = [
      { name: 'backdial', port: backdial.tcpPort, pids: backdial.pids },
      { name: 'rathole', port: rathole.port, pids: rathole.pids },
      { name: 'ssh -R', port: ssh.port, pids: ssh.pids },
    ];
    const figures: Figure[] = [];
    for (const streams of STREAM_COUNTS) {
      const speeds = systems.map((): number[] => []);
      const costs = systems.map((): number[] => []);
      for (let round = 0; round < rounds; round += 1) {
        for (const [index, { port, pids }] of systems.entries()) {
          const cpu = cpuSecondsOf(pids);
          const start = performance.now();
          await Promise.all(Array.from({ length: streams }, () => download(port, transferBytes)));
          const bytes = transferBytes * streams;
          speeds[index]?.push((bytes * 8) / 1e6 / (performance.now() - start));
          costs[index]?.push(((cpuSecondsOf(pids) - cpu) * 1e9) / bytes);
        }
      }
      for (const [index, { name }] of systems.entries()) {
        figures.push(figure(name, `download, ${streams} streams`, 'Gbit/s', speeds[index] ?? []));
        figures.push(figure(name, `CPU, ${streams} streams`, 'ns a byte', costs[index] ?? []));
      }
    }
    return figures;
  },
};
