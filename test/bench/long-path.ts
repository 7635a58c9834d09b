import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { listenOn } from '../support/listen-on.ts';
import { startBackdial } from './backdial.ts';
import { type Bench, type Figure, figure } from './bench.ts';
import { startProgram } from './program.ts';

const RELAY = fileURLToPath(new URL('./delay-relay.ts', import.meta.url));
const BITS_PER_SECOND = 1_000_000_000;
/** What a transfer may take to reach its speed: TCP's own ramp, and that of the windows. */
const RAMP_MS = 3_000;
/** Of the ramp, its end: by then most of the speed must be there. */
const RAMP_END_MS = 250;
const RAMPED = { atLeast: 0.9 };
const CHUNK = Buffer.alloc(65_536);

type Direction = 'down' | 'up';

/** One-way delays, and the share of the bare relay's speed that one stream must get. */
const PATHS = [
  { delayMs: 25, atLeast: 0.95 },
  { delayMs: 100, atLeast: 0.9 },
] as const;

/** One stream over a long and fat path: through a tunnel that crosses the relay, and over the bare relay. */
export const longPath: Bench = {
  name: 'long-path',
  title: 'TCP way in, one stream, 1 Gbit/s with a delay between agent and server; peer: the bare relay',
  tools: [],
  async run({ rounds, seconds }) {
    const figures: Figure[] = [];
    for (const { delayMs, atLeast } of PATHS) {
      for (const direction of ['down', 'up'] as const) {
        const ratios: number[] = [];
        const ramped: number[] = [];
        for (let round = 0; round < rounds; round += 1) {
          const bare = await bareSpeed(direction, delayMs, seconds);
          const tunnel = await tunnelSpeed(direction, delayMs, seconds);
          ratios.push(tunnel.speed / bare.speed);
          ramped.push(tunnel.ramped / bare.speed);
        }
        const title = `${direction}, ${delayMs} ms each way`;
        figures.push(figure('backdial / bare relay', title, 'x', ratios, { atLeast }));
        figures.push(figure('backdial / bare relay', `${title}, after ${RAMP_MS / 1_000} s`, 'x', ramped, RAMPED));
      }
    }
    return figures;
  },
};

async function bareSpeed(direction: Direction, delayMs: number, seconds: number): Promise<Speeds> {
  await using target = await startTarget(direction);
  await using relay = await startRelay(target.port, delayMs);
  // Awaited here: what was started is ended when this function returns.
  return await speedOf(direction, relay.port, target, seconds);
}

async function tunnelSpeed(direction: Direction, delayMs: number, seconds: number): Promise<Speeds> {
  await using target = await startTarget(direction);
  await using relays = new AsyncDisposableStack();
  const through = async (port: number): Promise<number> => relays.use(await startRelay(port, delayMs)).port;
  await using backdial = await startBackdial({ targetPort: target.port, through });
  // Awaited here: what was started is ended when this function returns.
  return await speedOf(direction, backdial.tcpPort, target, seconds);
}

/** Bits a second that arrive at the receiving end: at the end of the ramp, and after it. */
interface Speeds {
  readonly ramped: number;
  readonly speed: number;
}

async function speedOf(direction: Direction, port: number, target: Target, seconds: number): Promise<Speeds> {
  const visitor = connect({ port, host: '127.0.0.1', noDelay: true });
  visitor.on('error', () => {});
  await once(visitor, 'connect');
  let received = 0;
  const count = (chunk: Buffer): void => {
    received += chunk.length;
  };
  visitor.write('begin');
  const far = await target.next();
  if (direction === 'down') visitor.on('data', count);
  else far.on('data', count);
  flood(direction === 'down' ? far : visitor);
  const speedFor = async (ms: number): Promise<number> => {
    const [before, start] = [received, performance.now()];
    await pause(ms);
    return ((received - before) * 8_000) / (performance.now() - start);
  };
  await pause(RAMP_MS - RAMP_END_MS);
  const ramped = await speedFor(RAMP_END_MS);
  const speed = await speedFor(seconds * 1_000);
  visitor.resetAndDestroy();
  return { ramped, speed };
}

/** Writes for ever, as fast as it is taken. */
function flood(socket: Socket): void {
  const fill = (): void => {
    while (!socket.destroyed && socket.write(CHUNK));
  };
  socket.on('drain', fill);
  fill();
}

interface Target extends AsyncDisposable {
  readonly port: number;
  /** The connection on which a visitor said `begin`; one that only looks whether the way is open says HTTP. */
  next(): Promise<Socket>;
}

async function startTarget(direction: Direction): Promise<Target> {
  const begun = Promise.withResolvers<Socket>();
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', (first: Buffer) => {
      if (first.toString('latin1').startsWith('begin')) begun.resolve(socket);
      else socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
  });
  const port = await listenOn(server);
  return {
    port,
    next: () => begun.promise.then((socket) => (direction === 'down' ? socket.resume() : socket)),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

async function startRelay(port: number, delayMs: number): Promise<AsyncDisposable & { readonly port: number }> {
  const program = startProgram('relay', process.execPath, [RELAY, `${port}`, `${delayMs}`, `${BITS_PER_SECOND}`]);
  while (!program.output().includes('\n')) await pause(20);
  return { port: Number(program.output()), [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
