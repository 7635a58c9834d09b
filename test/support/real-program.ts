import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as net from 'node:net';
import { findTool } from './tools.ts';
import { within } from './within.ts';

/** What a program that ran to its end printed, and how it ended. */
export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs an installed program to its end; `input` is its standard input. Does not fail where the program does. */
export function runTool(name: string, args: readonly string[], input = ''): Promise<ToolResult> {
  return new Promise((resolve) => {
    const child = execFile(findTool(name), args, { timeout: 60_000, maxBuffer: 64e6 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
    // A program that ends without reading its input is its own affair.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

/** A daemon that a test started. */
export interface Daemon {
  stop(): Promise<void>;
}

/**
 * Starts an installed daemon in the foreground and waits until it accepts on `port`. Kept from outliving this process. `signal`
 * ends it at once, its children with it: those of nginx and PostgreSQL would outlive a SIGKILL.
 */
export async function startDaemon(
  name: string,
  args: readonly string[],
  port: number,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<Daemon> {
  const child = spawn(findTool(name), args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const end = () => child.kill(signal);
  process.once('exit', end);
  const ended = once(child, 'exit');
  const accepting = (async () => {
    while (!(await accepts(port))) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${name} ended: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  const stop = async () => {
    process.off('exit', end);
    end();
    await within(`${name} to end`, ended).catch(() => child.kill('SIGKILL'));
    await ended;
  };
  try {
    await within(`${name} to accept`, accepting);
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
