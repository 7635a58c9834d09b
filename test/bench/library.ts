import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { within } from '../support/within.ts';
import { type Bench, type Figure, figure } from './bench.ts';
import { DOMAIN, type LibraryFigures, type LibraryGreeting, SECRET } from './library-words.ts';
import { startProgram, untilTrue } from './program.ts';
import { Scratch } from './scratch.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const PROGRAM = fileURLToPath(new URL('./library-program.ts', import.meta.url));
const DEADLINE_MS = 120_000;

/** A server in a program of its own: `server.dial()` on a live tunnel, against a bare connection to the same target. */
export const library: Bench = {
  name: 'library',
  title: 'server.dial(): time to the first byte of the target, and dials for each second of CPU',
  tools: ['openssl'],
  async run({ rounds }) {
    const target = net.createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => {});
      socket.write('x');
    });
    await once(target.listen(0, '127.0.0.1'), 'listening');
    const program = fork(PROGRAM);
    try {
      return await measure(program, (target.address() as AddressInfo).port, rounds);
    } finally {
      program.kill('SIGKILL');
      target.close();
    }
  },
};

async function measure(program: ChildProcess, targetPort: number, rounds: number): Promise<Figure[]> {
  const { port, pin } = (await told(program)) as LibraryGreeting;
  const scratch = new Scratch('library');
  const domain = {
    active: true,
    secret: SECRET,
    remote: `127.0.0.1:${port}`,
    pin,
    targets: [{ target: `tcp://127.0.0.1:${targetPort}` }],
  };
  scratch.write(`agent/domains/${DOMAIN}.json5`, JSON.stringify(domain));
  const file = scratch.write('agent/agent.json5', '{ log: { access: null } }');
  await using agent = startProgram('backdial agent', process.execPath, [MAIN, 'agent', '-c', file]);
  await untilTrue(agent, 'a tunnel', async () => /"event":"tunnel-opened"/.test(agent.output()));
  const figures: LibraryFigures[] = [];
  for (let round = 0; round < rounds; round += 1) {
    program.send({ targetPort });
    figures.push((await told(program)) as LibraryFigures);
  }
  const ratio = figures.map(({ dialMs, bareMs, roundTripMs }) => dialMs / (bareMs + roundTripMs));
  const each = (read: (one: LibraryFigures) => number): number[] => figures.map(read);
  return [
    figure(
      'a connection',
      'first byte',
      'ms',
      each(({ bareMs }) => bareMs),
    ),
    figure(
      'the tunnel',
      'round trip',
      'ms',
      each(({ roundTripMs }) => roundTripMs),
    ),
    figure(
      'server.dial()',
      'first byte',
      'ms',
      each(({ dialMs }) => dialMs),
    ),
    figure('server.dial() / both', 'first byte', 'x', ratio, { atMost: 1.15 }),
    figure(
      'server.dial()',
      'dials a CPU second of the server',
      '',
      each(({ dialsACore }) => dialsACore),
      {
        atLeast: 5_000,
      },
    ),
  ];
}

async function told(program: ChildProcess): Promise<unknown> {
  const [message] = await within('the program', once(program, 'message'), DEADLINE_MS);
  return message;
}
