import { DOMAIN, startBackdial } from './backdial.ts';
import type { Bench } from './bench.ts';
import { compareLoads, type LoadedSystem, VISITORS } from './compare-loads.ts';
import { h2loadHttp1, h2loadHttp2, wrk } from './load.ts';
import { startTarget, startTlsProxy } from './nginx.ts';

/** HTTPS, 1 kB answers: CPU a request and requests a second of server and agent, against nginx. */
export const httpsCpu: Bench = {
  name: 'https-cpu',
  title: `HTTPS way in, 1 kB answers, ${VISITORS} kept-alive visitors, access log off; peer: nginx, one worker`,
  tools: ['nginx', 'wrk', 'h2load', 'openssl'],
  async run(settings) {
    await using target = await startTarget();
    await using nginx = await startTlsProxy(target.port);
    await using backdial = await startBackdial({ targetPort: target.port });
    const pair: [LoadedSystem, LoadedSystem] = [
      { name: 'nginx', url: `https://${DOMAIN}:${nginx.port}/`, pids: [nginx.pid] },
      { name: 'backdial', url: `https://${DOMAIN}:${backdial.httpsPort}/`, pids: backdial.pids },
    ];
    const limits = { cpu: { atMost: 3.5 }, rate: { atLeast: 0.4 } };
    return [
      ...(await compareLoads('wrk', wrk, settings, pair, limits)),
      ...(await compareLoads('h2load, HTTP/1.1', h2loadHttp1, settings, pair)),
      ...(await compareLoads('h2load, HTTP/2', h2loadHttp2, settings, pair)),
    ];
  },
};
