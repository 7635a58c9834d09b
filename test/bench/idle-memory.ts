import { once } from 'node:events';
import { startBackdial } from './backdial.ts';
import { type Bench, type Figure, figure } from './bench.ts';
import { type HeapFigures, readHeap } from './heap.ts';
import { ANSWER_BYTES, startTarget } from './nginx.ts';
import { settledBytes, untilIdle } from './settle.ts';
import { openVisitors } from './visitors.ts';

const IDLE_VISITORS = 1_000;
/** A round is a fresh pair of processes and takes half a minute; more rounds tell nothing new. */
const MAX_ROUNDS = 3;

/** What one idle visitor costs, kB: of resident memory, and of the JavaScript heap as the explanation. */
export const idleMemory: Bench = {
  name: 'idle-memory',
  title: `TCP way in, ${IDLE_VISITORS} idle kept-alive visitors: memory for each`,
  tools: ['nginx', 'wrk', 'openssl'],
  async run({ rounds }) {
    await using target = await startTarget();
    const server: number[] = [];
    const agent: number[] = [];
    for (let round = 0; round < Math.min(rounds, MAX_ROUNDS); round += 1) {
      const [serverBytes, agentBytes] = await residentPerVisitor(target.port);
      server.push(serverBytes / 1024);
      agent.push(agentBytes / 1024);
    }
    const both = server.map((kilobytes, round) => kilobytes + (agent[round] ?? Number.NaN));
    return [
      figure('backdial server', 'resident a visitor', 'kB', server),
      figure('backdial agent', 'resident a visitor', 'kB', agent),
      figure('backdial', 'resident a visitor', 'kB', both, { atMost: 50 }),
      ...(await heapPerVisitor(target.port)),
    ];
  },
};

/** Fresh processes: after a load, the room that its garbage left would take the visitors and hide their cost. */
async function residentPerVisitor(targetPort: number): Promise<[server: number, agent: number]> {
  await using backdial = await startBackdial({ targetPort });
  const before = await settledBytes(backdial.pids);
  const visitors = await openVisitors(backdial.tcpPort, IDLE_VISITORS, ANSWER_BYTES);
  const after = await settledBytes(backdial.pids);
  for (const visitor of visitors) visitor.destroy();
  const growth = (index: number): number => ((after[index] ?? 0) - (before[index] ?? 0)) / IDLE_VISITORS;
  return [growth(0), growth(1)];
}

async function heapPerVisitor(targetPort: number): Promise<Figure[]> {
  await using backdial = await startBackdial({ targetPort, memoryProbe: true });
  await untilIdle(backdial.pids);
  const programs = [backdial.server, backdial.agent];
  const before = await Promise.all(programs.map(readHeap));
  const visitors = await openVisitors(backdial.tcpPort, IDLE_VISITORS, ANSWER_BYTES);
  await untilIdle(backdial.pids);
  const after = await Promise.all(programs.map(readHeap));
  const closed = visitors.map((visitor) => once(visitor, 'close'));
  for (const visitor of visitors) visitor.destroy();
  await Promise.all(closed);
  return programs.map(({ name }, index) => {
    const [from, to] = [before[index] as HeapFigures, after[index] as HeapFigures];
    return figure(name, 'of it JavaScript heap', 'kB', [(to.heapUsed - from.heapUsed) / IDLE_VISITORS / 1024]);
  });
}
