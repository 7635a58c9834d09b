import { writeFileSync } from 'node:fs';
import * as https from 'node:https';
import { join } from 'node:path';
import { testAuthority } from '../support/certificates.ts';
import { type Backdial, DOMAIN, startBackdial } from './backdial.ts';
import { type Bench, figure } from './bench.ts';
import { compareLoads, type LoadedSystem, VISITORS } from './compare-loads.ts';
import { wrk } from './load.ts';
import { startTarget } from './nginx.ts';
import { residentBytes } from './process-figures.ts';

const DOMAINS = 10_000;

/** A server of 10,000 domains, of which one is visited, against a server of that one alone. */
export const manyDomains: Bench = {
  name: 'many-domains',
  title: `${DOMAINS} domains, a file each, ${VISITORS} kept-alive visitors of one of them; peer: that one alone`,
  tools: ['nginx', 'wrk', 'openssl'],
  async run(settings) {
    await using target = await startTarget();
    const serverFiles: Record<string, string> = {};
    for (let i = 1; i < DOMAINS; i += 1) {
      const clients = `clients: { networks: ["10.${i % 256}.0.0/16"], ranges: "mon-fri 08:00-19:00" }`;
      serverFiles[`domains/site-${i}.example.com.json5`] =
        `{ active: true, secret: "secret of domain ${i}", ${clients} }`;
    }
    const starts: number[] = [];
    const memory: number[] = [];
    const live: number[] = [];
    for (let round = 0; round < Math.min(3, settings.rounds); round += 1) {
      await using many = await startBackdial({ targetPort: target.port, serverFiles, serverKeys: LOG });
      starts.push(await startedAfter(many));
      live.push(await liveAfter(many));
      memory.push(residentBytes(many.server.pid) / 2 ** 20);
    }
    await using one = await startBackdial({ targetPort: target.port });
    await using many = await startBackdial({ targetPort: target.port, serverFiles });
    const system = (name: string, { httpsPort, pids }: Backdial): LoadedSystem => {
      return { name, url: `https://${DOMAIN}:${httpsPort}/`, pids };
    };
    const pair: [LoadedSystem, LoadedSystem] = [system('one domain', one), system('all domains', many)];
    return [
      figure('all domains', 'start of the process until it listens', 'ms', starts, { atMost: 3_000 }),
      figure('all domains', 'resident memory of the server, one file changed', 'MB', memory, { atMost: 250 }),
      figure('all domains', 'a changed file is in force after', 'ms', live, { atMost: 1_000 }),
      ...(await compareLoads('wrk', wrk, settings, pair, { cpu: { atMost: 1.1 } })),
    ];
  },
};

const LOG = { log: { level: 'info', access: null } };

/** From the start of the process, as the kernel knows it, to its word that it listens. */
async function startedAfter({ server }: Backdial): Promise<number> {
  const listening = /"time":(\d+),"event":"listening","purpose":"front-door"/.exec(server.output());
  if (listening === null) throw new Error(`no word of listening:\n${server.output()}`);
  return Number(listening[1]) - server.startedAt;
}

/** From the change of one domain's file to the first answer that shows it. */
async function liveAfter({ httpsPort, serverFolder, tcpPort }: Backdial): Promise<number> {
  // What was written at the start is looked at once more; not counted.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const file = join(serverFolder, `domains/${DOMAIN}.json5`);
  const listen = [`127.0.0.1:${tcpPort}`];
  writeFileSync(file, JSON.stringify({ active: true, secret: 'a secret of the benches', listen, transaction: false }));
  const start = performance.now();
  while (await hasTransaction(httpsPort)) {
    if (performance.now() - start > 30_000) throw new Error('the change is not in force after 30 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - start;
}

function hasTransaction(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const options = { host: DOMAIN, family: 4, port, agent: false, ca: testAuthority().cert };
    const request = https.get(options, (response) => {
      response.resume();
      resolve(response.headers['x-transaction-id'] !== undefined);
    });
    request.on('error', reject);
  });
}
