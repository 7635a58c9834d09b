/**
 * Run by test/log/disk-full.test.ts: logs more than waits in memory to a disk that is full, makes room, logs on, and prints
 * what became of it as JSON. Arguments: the folder, `tmpfs` (the folder is a small disk) or `rlimit` (files may not grow), and
 * `free` (something else is removed) or `remove` (the log itself is).
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { logFile } from './log-files.ts';
import { openKept } from './log-options.ts';
import { sampleAccess } from './sample-events.ts';
import { eventually } from './within.ts';

const [folder = '', kind, way] = process.argv.slice(2);
const BALLAST = join(folder, 'ballast');
const FILE = join(folder, 'access.log');
/** What the disk takes before it is full, bytes. No multiple of any line. */
const ROOM = 100_001;

function fill(): void {
  // The log itself fills it.
  if (way === 'remove') return;
  if (kind === 'rlimit') {
    process.on('SIGXFSZ', () => {});
    execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${ROOM}:unlimited`]);
    return;
  }
  const fd = openSync(BALLAST, 'w');
  let size = 0;
  try {
    for (;;) size += writeSync(fd, Buffer.alloc(1_000_000));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
  closeSync(fd);
  truncateSync(BALLAST, size - ROOM);
}

function makeRoom(): void {
  if (way === 'remove') rmSync(FILE);
  else if (kind === 'rlimit') execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=unlimited']);
  else rmSync(BALLAST);
}

/** The lines of the log that were completed, and what follows them. */
function read(): { readonly lines: string[]; readonly rest: string } {
  const lines = readFileSync(FILE, 'utf8').split('\n');
  return { rest: lines.pop() ?? '', lines };
}

const logs = openKept({ access: [logFile(FILE)] });
let total = 0;
async function log(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1, total += 1) {
    logs.observer({ type: 'access', record: sampleAccess({ in: total, path: `/${'x'.repeat(500)}` }) });
    if (i % 500 === 0) await new Promise(setImmediate);
  }
}

fill();
await log(60_000);
await eventually('it is said that the disk is full', () => /fails/.test(logs.shown()));
const full = read();
makeRoom();
await eventually('it is said that the disk is back', () => /takes lines again/.test(logs.shown()));
await log(1_000);
await logs.close();
const { lines, rest } = read();
const numbers = [...(way === 'remove' ? full.lines : []), ...lines].map(
  (line) => (JSON.parse(line) as { in: number }).in,
);
const rising = numbers.every((n, index) => index === 0 || n > (numbers[index - 1] ?? n));
process.stdout.write(
  JSON.stringify({
    total,
    written: numbers.length,
    rising,
    rest,
    fullAt: full.lines.length,
    cut: full.rest.length,
    shown: logs.shown(),
  }),
);
