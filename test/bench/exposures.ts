import net from 'node:net';
import { startBackdial } from './backdial.ts';
import { type Bench, figure } from './bench.ts';
import { ratios } from './compare-loads.ts';
import { startTarget } from './nginx.ts';
import { freePort, startProgram, untilTrue } from './program.ts';
import { spread } from './statistics.ts';
import { answersHttp } from './visit.ts';

const EXPOSURES = 1_000;
/** Below the ranges from which Linux, and the benches, take ports. */
const FIRST_PORT = 10_000;
const PORTS = 1_000;
const LOOKS = 20;
/** Visits with visitors at the dead ones and without, in turns, this many times; so many at a time. */
const TURNS = 10;
const VISITS = 20;
/** Time between two visitors of each dead destination. */
const DEAD_EVERY_MS = 100;

/**
 * 1,000 exposures of one agent, two of which lead nowhere: one refuses, one lets everybody wait until `connectTimeout`. What
 * the list takes, and what visitors of the dead ones, ten a second at each, cost a visit elsewhere.
 */
export const exposures: Bench = {
  name: 'exposures',
  title: `${EXPOSURES} ports that one agent exposes, two of them with a dead destination`,
  tools: ['nginx', 'openssl'],
  async run({ rounds }) {
    await using target = await startTarget(1_000);
    await using silent = await startSilentTarget();
    const [api, refusing] = [await freePort(), await freePort()];
    await using backdial = await startBackdial({
      targetPort: target.port,
      domainKeys: { grants: { ports: `${FIRST_PORT}-${FIRST_PORT + PORTS}` } },
      agentKeys: { api: { listen: `127.0.0.1:${api}` } },
    });
    const url = `http://127.0.0.1:${api}`;
    const began = performance.now();
    const ports = await exposeAll(url, backdial.httpsPort, target.port, [refusing, silent.port]);
    await untilComplete(url);
    const allOpen = performance.now() - began;
    const [refused = 0, unanswered = 0, ...healthy] = ports;
    const list: number[] = [];
    const alone: number[] = [];
    const beside: number[] = [];
    const slowest: number[] = [];
    await timesOf(VISITS, (i) => reach(healthy[i]));
    for (let round = 0; round < rounds; round += 1) {
      list.push(medianOf(await timesOf(LOOKS, async () => void (await (await fetch(`${url}/list`)).text()))));
      const times: Record<'alone' | 'beside', number[]> = { alone: [], beside: [] };
      for (let turn = 0; turn < TURNS; turn += 1) {
        for (const kind of ['alone', 'beside'] as const) {
          const dead = keepVisiting(kind === 'beside' ? [refused, unanswered] : []);
          await dead.begun;
          times[kind].push(...(await timesOf(VISITS, (i) => reach(healthy[i]))));
          dead.end();
        }
      }
      alone.push(medianOf(times.alone));
      beside.push(medianOf(times.beside));
      slowest.push(Math.max(...times.beside));
    }
    return [
      figure('backdial', 'until all are open', 'ms', [allOpen]),
      figure('backdial', 'GET /list', 'ms', list, { atMost: 50 }),
      figure('backdial', 'a visit', 'ms', alone),
      figure('backdial', 'a visit while others wait at the dead ones', 'ms', beside),
      figure('backdial', 'the slowest of these', 'ms', slowest),
      figure('backdial', 'of a visit alone', 'x', ratios(beside, alone), { atMost: 1.1 }),
    ];
  },
};

/** Exposes every port; the first ones lead to the dead. */
async function exposeAll(url: string, server: number, target: number, dead: readonly number[]): Promise<number[]> {
  const ports = Array.from({ length: EXPOSURES }, (_, i) => FIRST_PORT + i);
  for (const [i, port] of ports.entries()) {
    const body = {
      name: `number ${i}`,
      source_port: port,
      remote_connector_addr: `127.0.0.1:${server}`,
      destination_addr: `127.0.0.1:${dead[i] ?? target}`,
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

async function timesOf(count: number, work: (i: number) => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const start = performance.now();
    await work(i);
    times.push(performance.now() - start);
  }
  return times;
}

const medianOf = (times: readonly number[]): number => spread(times).median;

async function reach(port = 0): Promise<void> {
  if (!(await answersHttp(port))) throw new Error(`nobody answers at port ${port}`);
}

/** Visitors of dead ports, who come one after the other and wait for as long as they are kept waiting. */
function keepVisiting(ports: readonly number[]): { readonly begun: Promise<void>; end(): void } {
  const sockets = new Set<net.Socket>();
  const visit = (): void => {
    for (const port of ports) {
      const socket = net.connect(port, '127.0.0.1');
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    }
  };
  visit();
  const visits = setInterval(visit, DEAD_EVERY_MS);
  return {
    begun: new Promise((resolve) => setTimeout(resolve, DEAD_EVERY_MS)),
    end() {
      clearInterval(visits);
      for (const socket of sockets) socket.destroy();
    },
  };
}

const SILENT =
  "const s = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))";

/** A program that is stopped and whose queue of connections is full: nobody who connects is answered. */
async function startSilentTarget(): Promise<{ port: number } & AsyncDisposable> {
  const program = startProgram('silent', process.execPath, ['-e', SILENT]);
  await untilTrue(program, 'a port', async () => /\d/.test(program.output()));
  const port = Number(program.output());
  process.kill(program.pid, 'SIGSTOP');
  const fill = Array.from({ length: 4 }, () => net.connect(port, '127.0.0.1').on('error', () => {}));
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of fill) socket.destroy();
      process.kill(program.pid, 'SIGKILL');
      await program[Symbol.asyncDispose]();
    },
  };
}
