import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pinOf } from '../../src/net/pin.ts';
import { SERVER_LIVENESS } from '../../src/tunnel/types.ts';
import { testCertificate } from '../support/certificates.ts';
import { within } from '../support/within.ts';
import type { BareOrder } from './bare-tunnels.ts';
import { type Bench, type Figure, figure } from './bench.ts';
import { readHeap } from './heap.ts';
import { cpuSecondsOf } from './process-figures.ts';
import { freePort, type Program, startProgram, untilAccepts } from './program.ts';
import { Scratch } from './scratch.ts';
import { settledBytes } from './settle.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const AGENTS = fileURLToPath(new URL('./many-agents.ts', import.meta.url));
const BARE = fileURLToPath(new URL('./bare-tunnels.ts', import.meta.url));
const MEMORY_PROBE = fileURLToPath(new URL('./memory-probe.ts', import.meta.url));

const TUNNELS = 2_000;
/** Of each agent, as is the product's default. */
const CONNECTIONS = 2;
const DOMAINS = TUNNELS / CONNECTIONS;
const PROCESSES = 4;
/** Until V8 has done with what the opening left, and each agent has measured its first round trip, which it does after a minute. */
const SETTLE_SECONDS = 75;
/** Long enough for every tunnel to have been looked at several times. */
const IDLE_SECONDS = 30;
const SECRET = 'a secret of the benches';
const OPENING_MS = 120_000;

/** What a process of agents is to do: to serve each name, at a server on this machine. */
export interface AgentsOrder {
  readonly port: number;
  /** Of the server's key. */
  readonly pin: string;
  readonly names: readonly string[];
  readonly secret: string;
  readonly connections: number;
}

/** A server with metrics and 2,000 tunnels of 1,000 agents in which nothing happens; beside it, in the same seconds, bare Node. */
export const idleTunnels: Bench = {
  name: 'idle-tunnels',
  title: `${TUNNELS} tunnels of ${DOMAINS} agents, idle for ${IDLE_SECONDS} s; the server counts metrics. Bare Node: as many TLS connections, as many PINGs`,
  tools: ['openssl'],
  async run({ rounds }) {
    const all: Idle[] = [];
    // Half a minute of doing nothing differs little from another.
    for (let round = 0; round < Math.min(2, rounds); round += 1) all.push(await idle([]));
    const heap = await idle(['--expose-gc', '--import', MEMORY_PROBE]);
    return [
      each('resident a tunnel', 'kB', all, ({ serverBytes }) => serverBytes / 1_000, { atMost: 110 }),
      figure('backdial server', 'of it on the heap', 'kB', [heap.heapBytes / 1_000]),
      each('CPU', '% of a core', all, ({ serverCpu }) => 100 * serverCpu, { atMost: 1 }),
      figure(
        'backdial server',
        'CPU, to that of bare Node',
        'ratio',
        all.map(({ serverCpu, bareCpu }) => serverCpu / bareCpu),
      ),
      figure(
        'bare Node',
        'CPU of the side that pings',
        '% of a core',
        all.map(({ bareCpu }) => 100 * bareCpu),
      ),
      figure(
        'agents',
        'resident a tunnel',
        'kB',
        all.map(({ agentBytes }) => agentBytes / 1_000),
      ),
      figure(
        'agents',
        'CPU of all',
        '% of a core',
        all.map(({ agentCpu }) => 100 * agentCpu),
      ),
    ];
  },
};

/** What one round showed; bytes are a tunnel's, CPU is a share of one core. */
interface Idle {
  readonly serverBytes: number;
  readonly agentBytes: number;
  readonly heapBytes: number;
  readonly serverCpu: number;
  readonly bareCpu: number;
  readonly agentCpu: number;
}

function each(
  quantity: string,
  unit: string,
  all: readonly Idle[],
  read: (one: Idle) => number,
  limit: { readonly atMost: number },
): Figure {
  return figure('backdial server', quantity, unit, all.map(read), limit);
}

async function idle(probe: readonly string[]): Promise<Idle> {
  const names = Array.from({ length: DOMAINS }, (_, index) => `site-${index}.example.com`);
  const port = await freePort();
  const args = [...probe, MAIN, 'server', '-c', serverFile(port, names)];
  await using server = startProgram('backdial server', process.execPath, args, { ipc: probe.length > 0 });
  await untilAccepts(server, port);
  await using stack = new AsyncDisposableStack();
  const agents = Array.from({ length: PROCESSES }, () =>
    stack.use(startProgram('agents', process.execPath, [AGENTS], { ipc: true })),
  );
  const pids = agents.map(({ pid }) => pid);
  const bytes = async (): Promise<readonly [server: number, agents: number, heap: number]> => {
    const [own = 0, ...others] = await settledBytes([server.pid, ...pids]);
    const heap = probe.length > 0 ? (await readHeap(server)).heapUsed : 0;
    return [own, others.reduce((sum, other) => sum + other, 0), heap];
  };
  const before = await bytes();
  await Promise.all(agents.map((program, index) => openAll(program, port, shareOf(names, index))));
  const after = await bytes();
  const [serverBytes, agentBytes, heapBytes] = after.map((now, index) => (now - (before[index] ?? 0)) / TUNNELS);
  const cpu = probe.length > 0 ? [0, 0, 0] : await cpuBesideBare([server.pid], pids);
  const [serverCpu, agentCpu, bareCpu] = cpu;
  return { serverBytes, agentBytes, heapBytes, serverCpu, agentCpu, bareCpu } as Idle;
}

/** The share of a core of each group, once all is settled, and that of a bare server of as many tunnels. */
async function cpuBesideBare(...groups: readonly (readonly number[])[]): Promise<number[]> {
  await using stack = new AsyncDisposableStack();
  const start = () => stack.use(startProgram('bare Node', process.execPath, [BARE], { ipc: true }));
  const { cert, key } = testCertificate();
  const bare = start();
  const port = await told<number>(bare, { role: 'server', cert, key, pingIntervalMs: SERVER_LIVENESS.pingIntervalMs });
  const tunnels = TUNNELS / PROCESSES;
  await Promise.all(Array.from({ length: PROCESSES }, () => told(start(), { role: 'agents', port, tunnels })));
  await new Promise((resolve) => setTimeout(resolve, 1_000 * SETTLE_SECONDS));
  return await shareOfCore(...groups, [bare.pid]);
}

/** What a program answers to its order. */
async function told<Answer>(program: Program, order: BareOrder | AgentsOrder): Promise<Answer> {
  const answer = once(program.child, 'message');
  program.child.send(order);
  const [word] = await within(`the word of ${program.name}`, answer, OPENING_MS);
  return word as Answer;
}

function serverFile(port: number, names: readonly string[]): string {
  const scratch = new Scratch('idle-tunnels');
  for (const name of names) scratch.write(`domains/${name}.json5`, JSON.stringify({ active: true, secret: SECRET }));
  const { certFile, keyFile } = testCertificate();
  return scratch.write(
    'server.json5',
    JSON.stringify({
      listen: [`127.0.0.1:${port}`],
      certificates: [{ hosts: ['*'], cert: certFile, key: keyFile }],
      admin: { listen: `unix:${join(scratch.folder, 'admin.sock')}` },
      log: { level: 'warn' },
    }),
  );
}

function shareOf(names: readonly string[], index: number): readonly string[] {
  return names.filter((_, place) => place % PROCESSES === index);
}

async function openAll(program: Program, port: number, names: readonly string[]): Promise<void> {
  await told(program, { port, pin: pinOf(testCertificate().cert), names, secret: SECRET, connections: CONNECTIONS });
}

/** CPU of each group of processes, as a share of one core, over the whole of the idle time. */
async function shareOfCore(...groups: readonly (readonly number[])[]): Promise<number[]> {
  const read = (): number[] => groups.map((pids) => cpuSecondsOf(pids));
  const [began, before] = [performance.now(), read()];
  await new Promise((resolve) => setTimeout(resolve, 1_000 * IDLE_SECONDS));
  const seconds = (performance.now() - began) / 1_000;
  return read().map((now, index) => (now - (before[index] ?? 0)) / seconds);
}
