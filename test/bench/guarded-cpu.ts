import { join } from 'node:path';
import { DOMAIN, startBackdial } from './backdial.ts';
import type { Bench } from './bench.ts';
import { compareLoads, type LoadedSystem, VISITORS } from './compare-loads.ts';
import { wrk } from './load.ts';
import { startTarget } from './nginx.ts';
import { Scratch } from './scratch.ts';

/** What access control and an access log cost, against a server without either. */
export const guardedCpu: Bench = {
  name: 'guarded-cpu',
  title: `HTTPS way in, ${VISITORS} kept-alive visitors: networks, ranges and an access log to a file; peer: none of them`,
  tools: ['nginx', 'wrk', 'openssl'],
  async run(settings) {
    const scratch = new Scratch('guarded');
    await using target = await startTarget();
    await using bare = await startBackdial({ targetPort: target.port });
    await using guarded = await startBackdial({
      targetPort: target.port,
      domainKeys: {
        networks: ['10.0.0.0/8', '127.0.0.0/8'],
        clients: {
          networks: ['192.0.2.0/24', '2001:db8::/32', '127.0.0.0/8'],
          ranges: ['2019-10-01-2019-10-31', 'mon-fri 00:00-23:59:59', 'sat- 00:00-23:59:59'],
        },
      },
      serverKeys: {
        log: { level: 'warn', access: { file: join(scratch.folder, 'access.log'), rotate: '100MB', keep: 2 } },
      },
    });
    const system = (name: string, { httpsPort, pids }: typeof bare): LoadedSystem => {
      return { name, url: `https://${DOMAIN}:${httpsPort}/`, pids };
    };
    const pair: [LoadedSystem, LoadedSystem] = [system('bare', bare), system('guarded', guarded)];
    return await compareLoads('wrk', wrk, settings, pair, { cpu: { atMost: 1.25 } });
  },
};
