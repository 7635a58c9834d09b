import { startBackdial } from './backdial.ts';
import { type Bench, figure } from './bench.ts';
import { ratios } from './compare-loads.ts';
import { startTarget } from './nginx.ts';
import { freePort } from './program.ts';
import { spread } from './statistics.ts';
import { answersHttp } from './visit.ts';

const EXPOSURES = 1_000;
/** Below the ranges from which Linux, and the benches, take ports. */
const FIRST_PORT = 10_000;
const PORTS = 1_000;
const LOOKS = 20;

/** 1,000 exposures of one agent, one of which leads nowhere: what the list takes, and what the dead one costs the others. */
export const exposures: Bench = {
  name: 'exposures',
  title: `${EXPOSURES} ports that one agent exposes, one of them with a dead destination`,
  tools: ['nginx', 'openssl'],
  async run({ rounds }) {
    await using target = await startTarget(1_000);
    const [api, dead] = [await freePort(), await freePort()];
    await using backdial = await startBackdial({
      targetPort: target.port,
      domainKeys: { grants: { ports: `${FIRST_PORT}-${FIRST_PORT + PORTS}` } },
      agentKeys: { api: { listen: `127.0.0.1:${api}` } },
    });
    const url = `http://127.0.0.1:${api}`;
    const began = performance.now();
    const ports = await exposeAll(url, backdial.httpsPort, target.port, dead);
    await untilComplete(url);
    const allOpen = performance.now() - began;
    const [deadPort = 0, ...healthy] = ports;
    const list: number[] = [];
    const alone: number[] = [];
    const beside: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      list.push(await medianMs(async () => void (await (await fetch(`${url}/list`)).text())));
      alone.push(await medianMs((i) => reach(healthy[i])));
      const storm = keepAsking(deadPort);
      beside.push(await medianMs((i) => reach(healthy[i])));
      await storm.end();
    }
    return [
      figure('backdial', 'until all are open', 'ms', [allOpen]),
      figure('backdial', 'GET /list', 'ms', list, { atMost: 50 }),
      figure('backdial', 'a visit', 'ms', alone),
      figure('backdial', 'a visit while others try the dead one', 'ms', beside),
      figure('backdial', 'of a visit alone', 'x', ratios(beside, alone)),
    ];
  },
};

/** Exposes every port; the first leads to nobody. */
async function exposeAll(url: string, server: number, target: number, dead: number): Promise<number[]> {
  const ports = Array.from({ length: EXPOSURES }, (_, i) => FIRST_PORT + i);
  for (const [i, port] of ports.entries()) {
    const body = {
      name: `number ${i}`,
      source_port: port,
      remote_connector_addr: `127.0.0.1:${server}`,
      destination_addr: `127.0.0.1:${i === 0 ? dead : target}`,
      type: 'local',
    };
    const response = await fetch(`${url}/expose`, { method: 'POST', body: JSON.stringify(body) });
    if (response.status !== 200) throw new Error(`port ${port}: ${response.status} ${await response.text()}`);
  }
  return ports;
}

async function untilComplete(url: string): Promise<void> {
  for (;;) {
    const list = (await (await fetch(`${url}/list`)).json()) as { status: string; message: string }[];
    const failed = list.find(({ status }) => status === 'ERROR');
    if (failed !== undefined) throw new Error(failed.message);
    if (list.every(({ status }) => status === 'COMPLETE')) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function medianMs(work: (i: number) => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < LOOKS; i += 1) {
    const start = performance.now();
    await work(i);
    times.push(performance.now() - start);
  }
  return spread(times).median;
}

async function reach(port = 0): Promise<void> {
  if (!(await answersHttp(port))) throw new Error(`nobody answers at port ${port}`);
}

/** Visits a port that leads nowhere, again and again. */
function keepAsking(port: number): { end(): Promise<void> } {
  let going = true;
  const run = (async () => {
    while (going) await answersHttp(port);
  })();
  return {
    end: () => {
      going = false;
      return run;
    },
  };
}
