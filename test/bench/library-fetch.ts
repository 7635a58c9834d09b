import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from '../support/within.ts';
import { DOMAIN } from './backdial.ts';
import { type Bench, type BenchSettings, type Figure, figure } from './bench.ts';
import { ratios, VISITORS } from './compare-loads.ts';
import type { FetchCount, FetchGreeting, FetchOrder } from './fetch-words.ts';
import { SECRET } from './library-words.ts';
import { startTarget } from './nginx.ts';
import { cpuSecondsOf } from './process-figures.ts';
import { startProgram, untilTrue } from './program.ts';
import { Scratch } from './scratch.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const START_DEADLINE_MS = 60_000;

/**
 * `fetch` through `server.dispatcher()`, in the server's own program, beside the HTTPS way in without its TLS: the same code
 * from the end of the handshake on, the same server, tunnels, agent and target, asked by the same `fetch` in a program of
 * its own over kept-alive sockets, as many at the same time, in turns.
 *
 * Judged is what Backdial costs a request: CPU of server and agent. On the way in that is without the visitor's program. Through the
 * dispatcher the visitor is the server's program; what its `fetch` takes by itself, asking the target directly, is measured
 * in the same rounds and subtracted. Beside it, without any subtraction: all programs of a request together, the visitor's
 * included, and how long one request takes that is alone.
 */
export const libraryFetch: Bench = {
  name: 'library-fetch',
  title: `fetch through server.dispatcher(), ${VISITORS} at the same time; peer: the HTTPS way in without its TLS`,
  tools: ['nginx', 'openssl'],
  async run(settings) {
    await using target = await startTarget();
    const [server, visitor] = ['./fetch-server.ts', './fetch-visitor.ts'].map((file) =>
      fork(fileURLToPath(new URL(file, import.meta.url))),
    ) as [ChildProcess, ChildProcess];
    try {
      const greeting = (await told(server, START_DEADLINE_MS)) as FetchGreeting;
      await using agent = startAgent(greeting, target.port);
      await untilTrue(agent, 'two tunnels', async () => agent.output().split('"event":"tunnel-opened"').length > 2);
      return await measure({ server, visitor, agent: agent.pid }, greeting, target.port, settings);
    } finally {
      server.kill('SIGKILL');
      visitor.kill('SIGKILL');
    }
  },
};

function startAgent({ port, pin }: FetchGreeting, targetPort: number) {
  const scratch = new Scratch('fetch');
  const target = `tcp://127.0.0.1:${targetPort}`;
  const domain = { active: true, secret: SECRET, remote: `127.0.0.1:${port}`, pin, targets: [{ target }] };
  scratch.write(`agent/domains/${DOMAIN}.json5`, JSON.stringify(domain));
  const file = scratch.write('agent/agent.json5', '{ log: { access: null } }');
  return startProgram('backdial agent', process.execPath, [MAIN, 'agent', '-c', file]);
}

interface Programs {
  readonly server: ChildProcess;
  readonly visitor: ChildProcess;
  readonly agent: number;
}

/** CPU for each request, us. */
interface Load {
  /** Of server and agent. */
  readonly ours: number;
  /** Of the visitor's program, too. */
  readonly all: number;
  readonly perSecond: number;
  readonly medianMs: number;
}

async function measure(
  { server, visitor, agent }: Programs,
  { clearPort }: FetchGreeting,
  targetPort: number,
  { rounds, seconds }: BenchSettings,
): Promise<Figure[]> {
  const [serverPid, visitorPid] = [server.pid ?? 0, visitor.pid ?? 0];
  const load = async (
    program: ChildProcess,
    order: Pick<FetchOrder, 'through' | 'url'>,
    visitors = VISITORS,
  ): Promise<Load> => {
    const before = [cpuSecondsOf([serverPid, agent]), cpuSecondsOf([visitorPid])] as const;
    program.send({ ...order, visitors, seconds } satisfies FetchOrder);
    const {
      requests,
      medianMs,
      seconds: took,
    } = (await told(program, seconds * 1_000 + START_DEADLINE_MS)) as FetchCount;
    const ours = ((cpuSecondsOf([serverPid, agent]) - before[0]) / requests) * 1e6;
    const theirs = ((cpuSecondsOf([visitorPid]) - before[1]) / requests) * 1e6;
    return { ours, all: ours + theirs, perSecond: requests / took, medianMs };
  };
  const [clear, dispatch] = [
    { through: 'sockets', url: `http://${DOMAIN}:${clearPort}/` },
    { through: 'dispatcher', url: `http://${DOMAIN}/` },
  ] as const;
  const kinds = {
    alone: () => load(server, { through: 'sockets', url: `http://${DOMAIN}:${targetPort}/` }),
    wayIn: () => load(visitor, clear),
    dispatcher: () => load(server, dispatch),
    wayInSingly: () => load(visitor, clear, 1),
    dispatcherSingly: () => load(server, dispatch, 1),
  };
  const loads: Record<keyof typeof kinds, Load[]> = {
    alone: [],
    wayIn: [],
    dispatcher: [],
    wayInSingly: [],
    dispatcherSingly: [],
  };
  for (let round = -1; round < rounds; round += 1) {
    for (const [kind, run] of Object.entries(kinds)) {
      const one = await run();
      // The first is not counted: until compilers and pools have settled.
      if (round >= 0) loads[kind as keyof typeof kinds].push(one);
    }
  }
  const each = (kind: keyof typeof kinds, read: (one: Load) => number): number[] => loads[kind].map(read);
  const [alone, wayIn] = [each('alone', ({ ours }) => ours), each('wayIn', ({ ours }) => ours)];
  const dispatched = each('dispatcher', ({ ours }) => ours);
  const own = dispatched.map((micros, round) => micros - (alone[round] ?? Number.NaN));
  const [allOfDispatcher, allOfWayIn] = [each('dispatcher', ({ all }) => all), each('wayIn', ({ all }) => all)];
  const [rate, wayInRate] = [
    each('dispatcher', ({ perSecond }) => perSecond),
    each('wayIn', ({ perSecond }) => perSecond),
  ];
  const [single, singleWayIn] = [
    each('dispatcherSingly', ({ medianMs }) => medianMs),
    each('wayInSingly', ({ medianMs }) => medianMs),
  ];
  return [
    figure('fetch alone', 'CPU a request', 'us', alone),
    figure('HTTPS way in without TLS', 'CPU a request, server and agent', 'us', wayIn),
    figure('dispatcher', 'the same, without what fetch takes alone', 'us', own),
    figure('dispatcher / way in', 'CPU a request', 'x', ratios(own, wayIn), { atMost: 1.1 }),
    figure('HTTPS way in without TLS', 'CPU a request, all programs', 'us', allOfWayIn),
    figure('dispatcher', 'CPU a request, all programs', 'us', allOfDispatcher),
    figure('dispatcher / way in', 'CPU a request, all programs', 'x', ratios(allOfDispatcher, allOfWayIn), {
      atMost: 1.1,
    }),
    figure('dispatcher', 'rate', 'requests/s', rate),
    figure('dispatcher / way in', 'rate', 'x', ratios(rate, wayInRate)),
    figure('dispatcher', 'one request', 'ms', single),
    figure('dispatcher / way in', 'one request', 'x', ratios(single, singleWayIn), { atMost: 1.1 }),
  ];
}

async function told(program: ChildProcess, deadlineMs: number): Promise<unknown> {
  const [message] = await within('the program', once(program, 'message'), deadlineMs);
  return message;
}
