import { DOMAIN, startBackdial } from './backdial.ts';
import type { Bench, BenchSettings, Figure } from './bench.ts';
import { compareLoads, type LoadedSystem, VISITORS } from './compare-loads.ts';
import { wrkShort } from './load.ts';
import { startTarget, startTlsTarget } from './nginx.ts';
import { startRathole } from './rathole.ts';

/** One request a connection: what opening and closing a stream costs, against rathole; and what the peek adds to it. */
export const shortConnections: Bench = {
  name: 'short-connections',
  title: `one 1 kB answer a connection, ${VISITORS} at once; peers: rathole (TCP way in), the TCP way in (TLS passthrough)`,
  tools: ['nginx', 'wrk', 'openssl', 'rathole'],
  async run(settings) {
    return [...(await againstRathole(settings)), ...(await passedThrough(settings))];
  },
};

async function againstRathole(settings: BenchSettings): Promise<Figure[]> {
  await using target = await startTarget();
  await using rathole = await startRathole(target.port);
  await using backdial = await startBackdial({ targetPort: target.port });
  const pair: [LoadedSystem, LoadedSystem] = [
    { name: 'rathole', url: `http://${DOMAIN}:${rathole.port}/`, pids: rathole.pids },
    { name: 'backdial', url: `http://${DOMAIN}:${backdial.tcpPort}/`, pids: backdial.pids },
  ];
  return await compareLoads('short', wrkShort, settings, pair, { cpu: { atMost: 0.5 }, rate: { atLeast: 1.2 } });
}

/** The same program, target and tunnels both times; only the door differs. */
async function passedThrough(settings: BenchSettings): Promise<Figure[]> {
  await using target = await startTlsTarget();
  await using backdial = await startBackdial({ targetPort: target.port, passthrough: true });
  const { pids } = backdial;
  const pair: [LoadedSystem, LoadedSystem] = [
    { name: 'TCP way in', url: `https://${DOMAIN}:${backdial.tcpPort}/`, pids },
    { name: 'passthrough', url: `https://${DOMAIN}:${backdial.httpsPort}/`, pids },
  ];
  return await compareLoads('short, TLS', wrkShort, settings, pair, { cpu: { atMost: 1.15 } });
}
