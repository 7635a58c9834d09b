import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from './within.ts';

export const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const DEADLINE_MS = 120_000;

/** How to start the program. */
export interface CliOptions {
  /** Added to a clean environment: no BACKDIAL_ variable and no proxy of the developer's comes through. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Flags of Node itself. */
  readonly nodeFlags?: readonly string[];
  /** What is run instead of the sources: a program, and arguments in front of those of `backdial`. */
  readonly program?: readonly [string, ...string[]];
}

/** How a run of the program ended. */
export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program while it runs. */
export interface RunningCli {
  readonly child: ChildProcess;
  /** Resolves with the match once standard output (or `stderr`) holds it; fails when the program ends before. */
  see(pattern: RegExp, where?: 'stdout' | 'stderr'): Promise<RegExpExecArray>;
  /** What it has written so far. */
  output(): { readonly stdout: string; readonly stderr: string };
  /** Sends a signal, if one is given, and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<CliResult>;
}

/** Starts `backdial`, unbuilt unless told otherwise. It does not outlive this process; end it in `finally` all the same. */
export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  const [program, ...first] = options.program ?? [process.execPath, ...(options.nodeFlags ?? []), MAIN];
  const child = spawn(program, [...first, ...args], {
    env: { ...cleanEnvironment(), ...options.env },
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const text = { stdout: '', stderr: '' };
  const watchers = new Set<() => void>();
  const ended = once(child, 'close').then(([code, signal]) => {
    process.off('exit', kill);
    for (const watcher of watchers) watcher();
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, ...text };
  });
  for (const where of ['stdout', 'stderr'] as const) {
    child[where].setEncoding('utf8').on('data', (part: string) => {
      text[where] += part;
      for (const watcher of watchers) watcher();
    });
  }
  return {
    child,
    output: () => ({ ...text }),
    see: (pattern, where = 'stdout') => within(`${args[0]}: ${pattern}`, seen(pattern, where), DEADLINE_MS),
    end: (signal) => {
      if (signal !== undefined) child.kill(signal);
      return within(`${args[0]}: its end`, ended, DEADLINE_MS);
    },
  };

  function seen(pattern: RegExp, where: 'stdout' | 'stderr'): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(text[where]);
        const over = child.exitCode !== null || child.signalCode !== null;
        if (match === null && !over) return;
        watchers.delete(look);
        if (match !== null) resolve(match);
        else reject(new Error(`ended without ${pattern}:\n${text.stdout}\n${text.stderr}`));
      };
      watchers.add(look);
      look();
    });
  }
}

/** Runs `backdial` to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const running = startCli(args, options);
  try {
    return await running.end();
  } finally {
    running.child.kill('SIGKILL');
  }
}

/** One line on standard error, nothing on standard output, no stack. */
export function assertOneLine({ stdout, stderr }: CliResult): void {
  assert.equal(stdout, '');
  assert.match(stderr, /^backdial: [^\n]+\n$/);
}

function cleanEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || /^BACKDIAL_|^STATE_DIRECTORY$|_proxy$|^NODE_/i.test(name) ? [] : [[name, value]],
    ),
  );
}
