import { DOMAIN, startBackdial } from './backdial.ts';
import type { Bench } from './bench.ts';
import { compareLoads, type LoadedSystem, VISITORS } from './compare-loads.ts';
import { wrk } from './load.ts';
import { startTarget } from './nginx.ts';
import { startRathole } from './rathole.ts';

/** TCP way in, 1 kB answers over kept-alive HTTP in the clear: CPU a request of both ends, against rathole. */
export const tcpCpu: Bench = {
  name: 'tcp-cpu',
  title: `TCP way in, 1 kB answers, ${VISITORS} kept-alive visitors in the clear; peer: rathole, noise transport`,
  tools: ['nginx', 'wrk', 'openssl', 'rathole'],
  async run(settings) {
    await using target = await startTarget();
    await using rathole = await startRathole(target.port);
    await using backdial = await startBackdial({ targetPort: target.port });
    const pair: [LoadedSystem, LoadedSystem] = [
      { name: 'rathole', url: `http://${DOMAIN}:${rathole.port}/`, pids: rathole.pids },
      { name: 'backdial', url: `http://${DOMAIN}:${backdial.tcpPort}/`, pids: backdial.pids },
    ];
    // Awaited here: the programs are stopped when this scope is left.
    return await compareLoads('wrk', wrk, settings, pair, { cpu: { atMost: 0.8 } });
  },
};
