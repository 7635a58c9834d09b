import { join } from 'node:path';
import { DOMAIN, startBackdial } from './backdial.ts';
import type { Bench } from './bench.ts';
import { compareLoads, type LoadedSystem, VISITORS } from './compare-loads.ts';
import { wrk } from './load.ts';
import { startTarget } from './nginx.ts';
import { Scratch } from './scratch.ts';

/** What metrics cost, on both sides, against programs that count nothing. */
export const metricsCpu: Bench = {
  name: 'metrics-cpu',
  title: `HTTPS way in, ${VISITORS} kept-alive visitors, \`admin\` and \`api\` with metrics; peer: neither`,
  tools: ['nginx', 'wrk', 'openssl'],
  async run(settings) {
    const scratch = new Scratch('metrics');
    await using target = await startTarget();
    await using bare = await startBackdial({ targetPort: target.port });
    await using measured = await startBackdial({
      targetPort: target.port,
      serverKeys: { admin: { listen: `unix:${join(scratch.folder, 'admin.sock')}` } },
      agentKeys: { api: { listen: `unix:${join(scratch.folder, 'api.sock')}` } },
    });
    const system = (name: string, { httpsPort, pids }: typeof bare): LoadedSystem => {
      return { name, url: `https://${DOMAIN}:${httpsPort}/`, pids };
    };
    const pair: [LoadedSystem, LoadedSystem] = [system('bare', bare), system('measured', measured)];
    return await compareLoads('wrk', wrk, settings, pair, { cpu: { atMost: 1.03 } });
  },
};
