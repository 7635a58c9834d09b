import * as tls from 'node:tls';
import { startBackdial } from './backdial.ts';
import { type Bench, figure } from './bench.ts';
import { startTarget } from './nginx.ts';
import { welchT } from './statistics.ts';

const SAMPLES = 2_000;
/** Names that are hidden from this visitor, by why; and one that nobody has ever heard of. */
const HIDDEN = {
  forbidden: 'net.test',
  'out of hours': 'hours.test',
  inactive: 'inactive.test',
  unserved: 'idle.test',
};
const UNKNOWN = 'unknown.test';

/** Whether the time of an answer tells a hidden domain from one that does not exist. */
export const stealth: Bench = {
  name: 'stealth',
  title: `time of ${SAMPLES} answers each, in turns: hidden domains beside one that does not exist (Welch's t)`,
  tools: ['nginx', 'openssl'],
  async run({ rounds }) {
    await using target = await startTarget();
    const domain = (keys: string): string => `{ active: true, secret: "a secret of the benches", ${keys} }`;
    await using backdial = await startBackdial({
      targetPort: target.port,
      serverFiles: {
        'domains/net.test.json5': domain('clients: { networks: ["192.0.2.0/24"] }'),
        'domains/hours.test.json5': domain('clients: { ranges: "2019-10-01" }'),
        'domains/inactive.test.json5': '{ secret: "a secret of the benches" }',
        'domains/idle.test.json5': domain(''),
      },
    });
    const rest = rounds > 3 ? 3 : rounds;
    const figures = [];
    for (const [why, name] of Object.entries(HIDDEN)) {
      const values: number[] = [];
      for (let round = 0; round < rest; round += 1) {
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
  for (const visitor of visitors) for (let i = 0; i < 200; i += 1) await visitor.ask();
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
  const request = `GET /x HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  return {
    ask() {
      return new Promise((resolve, reject) => {
        const start = performance.now();
        socket.once('data', (answer: Buffer) => {
          const took = performance.now() - start;
          if (answer.toString('latin1', 9, 12) === '404') resolve(took);
          else reject(new Error(answer.toString('latin1')));
        });
        socket.write(request);
      });
    },
    close: () => socket.destroy(),
  };
}
