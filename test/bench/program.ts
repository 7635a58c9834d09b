import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { constants } from 'node:os';
import { listenOn } from '../support/listen-on.ts';

/** How long a program may take until it answers on its port, ms. */
const START_DEADLINE_MS = 60_000;
/** How long a program may take to end when asked, before it is killed, ms. */
const STOP_DEADLINE_MS = 3_000;
/** How much of what a program says is kept for the message of a failure, characters. */
const KEPT_OUTPUT = 4_000;

/** A program that a bench started, and that goes when the bench goes. */
export interface Program {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** When it was started, epoch ms. */
  readonly startedAt: number;
  /** The end of what it printed. */
  output(): string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What runs, and the signal that ends it for good. */
const running = new Map<ChildProcess, NodeJS.Signals>();
process.once('exit', () => {
  for (const [child, signal] of running) child.kill(signal);
});
// Node itself would be gone without a word to what it started, and to what cleans up.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]));
}

/**
 * Starts a program; `ipc` opens a message channel to a Node program. `endedBy` ends it when the bench does before it (default
 * SIGKILL, which workers of nginx outlive).
 */
export function startProgram(
  name: string,
  command: string,
  args: readonly string[],
  options: { ipc?: boolean; env?: Record<string, string>; endedBy?: NodeJS.Signals } = {},
): Program {
  const startedAt = Date.now();
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe', ...(options.ipc === true ? (['ipc'] as const) : [])],
    env: { ...process.env, NO_COLOR: '1', ...options.env },
  });
  running.set(child, options.endedBy ?? 'SIGKILL');
  child.once('close', () => running.delete(child));
  child.once('error', () => running.delete(child));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-KEPT_OUTPUT);
    });
  }
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name}: ${command} could not be started`);
  return {
    name,
    pid,
    child,
    startedAt,
    output: () => output,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** A port of the loopback address that was free a moment ago: for programs that cannot tell which one they took. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOn(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when something accepts on the port; fails with what the program printed when it ends or takes too long. */
export async function untilAccepts(program: Program, port: number): Promise<void> {
  await untilTrue(program, `a listener on port ${port}`, () => accepts(port));
}

/** Resolves when `probe` says true; asked every 50 ms. */
export async function untilTrue(program: Program, what: string, probe: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + START_DEADLINE_MS;
  for (;;) {
    if (await probe()) return;
    const { exitCode, signalCode } = program.child;
    const ended = exitCode !== null || signalCode !== null;
    if (ended || performance.now() > end) {
      throw new Error(`${program.name}: ${what}: ${ended ? 'it ended' : 'not in time'}\n${program.output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
