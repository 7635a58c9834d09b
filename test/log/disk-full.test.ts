import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FileSink } from '../../src/log/file-sink.ts';
import { Pump } from '../../src/log/pump.ts';
import { keepReports, logFile, recordsUnder } from '../support/log-files.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually } from '../support/within.ts';

const PROGRAM = fileURLToPath(new URL('../support/disk-full-program.ts', import.meta.url));
const run = promisify(execFile);

/** How to get a disk of one's own that is gone with the process. */
const UNSHARE = process.getuid?.() === 0 ? ['-m'] : ['-rm'];
const canMount = spawnSync('unshare', [...UNSHARE, 'sh', '-c', 'mount -t tmpfs none /mnt']).status === 0;

interface Outcome {
  readonly total: number;
  readonly written: number;
  readonly rising: boolean;
  readonly rest: string;
  readonly fullAt: number;
  readonly cut: number;
  readonly shown: string;
}

async function fillDisk(kind: 'tmpfs' | 'rlimit', way: 'free' | 'remove'): Promise<Outcome> {
  return withFolder({}, async (folder) => {
    const script = kind === 'tmpfs' ? 'mount -t tmpfs -o size=20m none "$2" && exec "$0" "$@"' : 'exec "$0" "$@"';
    const command = ['sh', '-c', script, process.execPath, PROGRAM, folder, kind, way];
    const [file = '', ...args] = kind === 'tmpfs' ? ['unshare', ...UNSHARE, ...command] : command;
    return JSON.parse((await run(file, args, { timeout: 60_000 })).stdout) as Outcome;
  });
}

function check({ total, written, rising, rest, fullAt, shown }: Outcome, code: RegExp): void {
  assert.equal(total, 61_000);
  assert.ok(fullAt > 50 && fullAt < 30_000, `full after ${fullAt} lines`);
  assert.match(shown, code);
  const counts = Array.from(shown.matchAll(/takes lines again; (\d+) lines were dropped/g), ([, count]) =>
    Number(count),
  );
  const dropped = counts.reduce((sum, count) => sum + count, 0);
  assert.ok(dropped > 1_000, shown);
  assert.equal(written, total - dropped);
  assert.ok(rising, 'each line once, in order');
  assert.equal(rest, '');
  // Said when it began and when it ended, not with each line.
  assert.equal(shown.trimEnd().split('\n').length, 1 + counts.length, shown);
}

describe('a full disk', { concurrency: true }, () => {
  const mount = { skip: !canMount && 'no mount namespaces here; RLIMIT_FSIZE shows the same, below' };

  it('holds up nobody; once there is room, what waited is written and what was dropped is said', mount, async () => {
    check(await fillDisk('tmpfs', 'free'), /ENOSPC/);
  });

  it('has room again when the log itself is removed', mount, async () => {
    check(await fillDisk('tmpfs', 'remove'), /ENOSPC/);
  });

  it('does not break the line that it cut: a limit on the size of files shows the same, without a mount', async () => {
    const outcome = await fillDisk('rlimit', 'free');
    check(outcome, /EFBIG/);
    assert.ok(outcome.cut > 0, 'a line was cut');
  });

  it('is tried again and again, from the first line on', () =>
    withFolder({}, async () => {
      const kept = keepReports();
      const pump = new Pump(new FileSink(logFile('/dev/full'), { onHint: () => {} }), {
        ...kept,
        maxWaiting: 100,
        retryMs: 5,
      });
      for (let i = 0; i < 100; i += 1) pump.write('{"n":1}\n');
      await eventually('said', () => kept.reports.length > 0);
      await pump.close();
      assert.deepEqual(kept.states(), ['failing', 'closed']);
      assert.equal(kept.dropped(), 100);
    }));
});

// By itself: what others start meanwhile would have its limit, too.
test('a full disk is no reason to put aside the file with a line cut in two', () =>
  withFolder({}, async (folder) => {
    const ignore = () => {};
    process.on('SIGXFSZ', ignore);
    const mayGrow = (bytes: string) =>
      execFileSync('prlimit', ['--pid', `${process.pid}`, `--fsize=${bytes}:unlimited`]);
    const kept = keepReports();
    const sink = new FileSink(logFile(join(folder, 'a.log'), { maxBytes: 1_300 }), { onHint: ignore });
    const pump = new Pump(sink, { ...kept, retryMs: 5, calmMs: 5 });
    mayGrow('1000');
    try {
      for (let n = 0; n < 3; n += 1) pump.write(`${JSON.stringify({ n, padding: 'x'.repeat(600) })}\n`);
      await eventually('said', () => kept.reports.length > 0);
      assert.equal(statSync(join(folder, 'a.log')).size, 1_000);
    } finally {
      mayGrow('unlimited');
      process.off('SIGXFSZ', ignore);
    }
    await pump.close();
    assert.deepEqual(
      recordsUnder(folder)
        .map(({ n }) => n as number)
        .toSorted(),
      [0, 1, 2],
    );
  }));
