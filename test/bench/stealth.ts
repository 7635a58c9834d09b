import * as tls from 'node:tls';
import { startBackdial } from './backdial.ts';
import { type Bench, figure } from './bench.ts';
import { startTarget } from './nginx.ts';
import { welchT } from './statistics.ts';

const SAMPLES = 2_000;
/** Requests that are sent at once for one sample: what each of them tells adds up. */
const BURST = 10;
/** Names that are hidden from this visitor, by why; and those that nobody has ever heard of. */
const HIDDEN = {
  forbidden: 'net.test',
  'out of hours': 'hours.test',
  inactive: 'inactive.test',
  unserved: 'idle.test',
  // What the machine alone makes of two that are alike.
  'another unknown': 'unheard.test',
};
const UNKNOWN = 'unknown.test';

/** Whether the time of an answer tells a hidden domain from one that does not exist. */
export const stealth: Bench = {
  name: 'stealth',
  title: `time of ${SAMPLES} times ${BURST} answers each, in turns: hidden domains beside one that does not exist (Welch's t)`,
  tools: ['nginx', 'openssl'],
  async run({ rounds }) {
    await using target = await startTarget();
    const domain = (keys: string): string => `{ active: true, secret: "a secret of the benches", ${keys} }`;
    await using backdial = await startBackdial({
      targetPort: target.port,
      // One that is forbidden is logged, one that does not exist is not.
      serverKeys: { log: { level: 'warn', system: 'console', access: { file: 'access.log' } } },
      serverFiles: {
        'domains/net.test.json5': domain('clients: { networks: ["192.0.2.0/24"] }'),
        'domains/hours.test.json5': domain('clients: { ranges: "2019-10-01" }'),
        'domains/inactive.test.json5': '{ secret: "a secret of the benches" }',
        'domains/idle.test.json5': domain(''),
      },
    });
    const figures = [];
    for (const [why, name] of Object.entries(HIDDEN)) {
      const values: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const [hidden, unknown] = await timed(backdial.httpsPort, name);
        values.push(Math.abs(welchT(hidden, unknown)));
      }
      figures.push(figure(`${why} / unknown`, "|t| of the answers' times", '', values, { atMost: 4.5 }));
    }
    return figures;
  },
};

/** Times of answers, ms: for `name` and for the unknown one, each on a kept connection of its own, in random turns. */
async function timed(port: number, name: string): Promise<[number[], number[]]> {
  const visitors = await Promise.all([name, UNKNOWN].map((host) => openVisitor(port, host)));
  const times: [number[], number[]] = [[], []];
  for (const visitor of visitors) for (let i = 0; i < 100; i += 1) await visitor.ask();
  for (let i = 0; i < SAMPLES; i += 1) {
    for (const which of Math.random() < 0.5 ? ([0, 1] as const) : ([1, 0] as const)) {
      const visitor = visitors[which];
      if (visitor === undefined) throw new Error('no visitor');
      times[which].push(await visitor.ask());
    }
  }
  for (const visitor of visitors) visitor.close();
  return [withoutOutliers(times[0]), withoutOutliers(times[1])];
}

/** What the machine did meanwhile: the slowest twentieth says nothing of the server. */
function withoutOutliers(times: readonly number[]): number[] {
  return times.toSorted((a, b) => a - b).slice(0, Math.floor(times.length * 0.95));
}

interface Visitor {
  ask(): Promise<number>;
  close(): void;
}

async function openVisitor(port: number, host: string): Promise<Visitor> {
  const socket = tls.connect({ port, host: '127.0.0.1', servername: host, rejectUnauthorized: false });
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  const burst = `GET /x HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(BURST);
  return {
    ask() {
      return new Promise((resolve, reject) => {
        const start = performance.now();
        let answers = '';
        const socketOnData = (chunk: Buffer): void => {
          answers += chunk.toString('latin1');
          const count = answers.split(/HTTP\/1\.1 404 .*?\r\n\r\n/s).length - 1;
          if (!answers.startsWith('HTTP/1.1 404 '.slice(0, answers.length))) reject(new Error(answers));
          if (count < BURST) return;
          socket.off('data', socketOnData);
          resolve(performance.now() - start);
        };
        socket.on('data', socketOnData);
        socket.write(burst);
      });
    },
    close: () => socket.destroy(),
  };
}
