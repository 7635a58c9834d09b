import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { LogFile } from '../../src/core/log-destination.ts';
import { FileSink } from '../../src/log/file-sink.ts';
import { Pump } from '../../src/log/pump.ts';
import { keepReports, logFile, namesIn, recordsIn, recordsUnder } from '../support/log-files.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually } from '../support/within.ts';

const DAY_MS = 86_400_000;

/** A file log whose clock stands still until it is moved. */
function openFile(settings: LogFile, startMs = Date.parse('2024-02-28T23:59:59.900Z')) {
  const clock = { nowMs: startMs };
  const hints: Error[] = [];
  const kept = keepReports();
  const sink = new FileSink(settings, { onHint: (error) => hints.push(error), now: () => clock.nowMs });
  const pump = new Pump(sink, { report: kept.report, retryMs: 20, calmMs: 20 });
  let written = 0;
  return {
    ...kept,
    clock,
    hints,
    pump,
    /** Hands lines over without waiting for them. */
    write(count: number, padding = '') {
      for (let i = 0; i < count; i += 1, written += 1) pump.write(`${JSON.stringify({ n: written, padding })}\n`);
    },
    /** Writes one line and waits until it is in a file of the folder. */
    async writeOne(folder: string, padding = '') {
      const n = written;
      this.write(1, padding);
      const there = () =>
        namesIn(folder).some(
          (name) => !name.endsWith('.tmp') && recordsIn(join(folder, name)).some((each) => each.n === n),
        );
      await eventually(`line ${n}`, there);
    },
  };
}

const numbers = (records: readonly Record<string, unknown>[]) => records.map(({ n }) => n as number);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('a log file', () => {
  it('takes every line, in order, behind what was there', () =>
    withFolder({ 'a.log': '{"n":-1}\n' }, async (folder) => {
      const log = openFile(logFile(join(folder, 'a.log')));
      log.write(10_000);
      await log.pump.close();
      assert.deepEqual(numbers(recordsIn(join(folder, 'a.log'))), [-1, ...upTo(10_000)]);
      assert.deepEqual(log.reports, []);
    }));

  it('is not for everyone to read', () =>
    withFolder({}, async (folder) => {
      const log = openFile(logFile(join(folder, 'a.log')));
      log.write(1);
      await log.pump.close();
      assert.equal(fs.statSync(join(folder, 'a.log')).mode & 0o027, 0);
    }));

  it('ends the line that a crash cut, so that the next one stands alone', () =>
    withFolder({ 'a.log': '{"n":-1}\n{"n":-2,"pa' }, async (folder) => {
      const log = openFile(logFile(join(folder, 'a.log')));
      log.write(1);
      await log.pump.close();
      assert.equal(fs.readFileSync(join(folder, 'a.log'), 'utf8'), '{"n":-1}\n{"n":-2,"pa\n{"n":0,"padding":""}\n');
    }));

  it('is opened anew on request: what was renamed keeps its lines, the next ones are in a new file', () =>
    withFolder({}, async (folder) => {
      const file = join(folder, 'a.log');
      const log = openFile(logFile(file));
      log.write(500);
      await log.writeOne(folder);
      fs.renameSync(file, join(folder, 'a.log.1'));
      log.pump.reopen();
      await log.writeOne(folder);
      log.write(10);
      await log.pump.close();
      assert.deepEqual(numbers(recordsIn(join(folder, 'a.log.1'))), upTo(501));
      assert.deepEqual(numbers(recordsIn(file)), upTo(512).slice(501));
    }));

  it('lets go of a renamed file at once, without waiting for a line', () =>
    withFolder({}, async (folder) => {
      const file = join(folder, 'a.log');
      const log = openFile(logFile(file));
      await log.writeOne(folder);
      fs.renameSync(file, join(folder, 'a.log.1'));
      const held = () =>
        fs.readdirSync('/proc/self/fd').some((fd) => {
          try {
            return fs.readlinkSync(`/proc/self/fd/${fd}`) === join(folder, 'a.log.1');
          } catch {
            return false;
          }
        });
      await eventually('it is open', held);
      log.pump.reopen();
      await eventually('it is closed', () => !held());
      await log.pump.close();
    }));

  it('is made anew within a second where it was removed or renamed and nobody was told', () =>
    withFolder({}, async (folder) => {
      const file = join(folder, 'a.log');
      const log = openFile(logFile(file));
      await log.writeOne(folder);
      fs.renameSync(file, join(folder, 'a.log.1'));
      log.clock.nowMs += 1_000;
      await log.writeOne(folder);
      fs.rmSync(file);
      log.clock.nowMs += 1_000;
      await log.writeOne(folder);
      await log.pump.close();
      assert.deepEqual(numbers(recordsIn(join(folder, 'a.log.1'))), [0]);
      assert.deepEqual(numbers(recordsIn(file)), [2]);
      assert.deepEqual(log.reports, []);
    }));

  it('is looked at, too, where the clock was set back', () =>
    withFolder({}, async (folder) => {
      const file = join(folder, 'a.log');
      const log = openFile(logFile(file));
      await log.writeOne(folder);
      fs.renameSync(file, join(folder, 'a.log.1'));
      log.clock.nowMs -= 60_000;
      await log.writeOne(folder);
      await log.pump.close();
      assert.deepEqual(numbers(recordsIn(file)), [1]);
    }));

  it('says so when its folder was removed, and takes what waited when the folder is there', () =>
    withFolder({ 'later/a.log': '' }, async (folder) => {
      const later = join(folder, 'later');
      const log = openFile(logFile(join(later, 'a.log')));
      await log.writeOne(later);
      fs.rmSync(later, { recursive: true });
      log.clock.nowMs += 1_000;
      log.write(1);
      await eventually('said', () => log.reports.length === 1);
      fs.mkdirSync(later);
      await eventually('said again', () => log.reports.length === 2);
      await log.pump.close();
      assert.deepEqual(log.states(), ['failing', 'working']);
      assert.deepEqual(numbers(recordsUnder(later)), [1]);
    }));

  it('is made anew only where it is known to be elsewhere: a path that cannot be looked at is written on', () =>
    withFolder({ 'sub/a.log': '' }, async (folder) => {
      const log = openFile(logFile(join(folder, 'sub/a.log')));
      await log.writeOne(join(folder, 'sub'));
      fs.renameSync(join(folder, 'sub'), join(folder, 'away'));
      fs.symlinkSync('sub', join(folder, 'sub'));
      log.clock.nowMs += 1_000;
      await log.writeOne(join(folder, 'away'));
      await log.pump.close();
      assert.deepEqual(log.reports, []);
    }));

  it('says that its folder is missing, once, and takes what waited when the folder is there', () =>
    withFolder({}, async (folder) => {
      const missing = join(folder, 'later');
      const log = openFile(logFile(join(missing, 'a.log')));
      log.write(3);
      await eventually('said', () => log.reports.length === 1);
      assert.match(log.reports[0]?.error?.message ?? '', /ENOENT.*later\/a\.log/);
      log.write(3);
      fs.mkdirSync(missing);
      await eventually('said again', () => log.reports.length === 2);
      assert.deepEqual(log.states(), ['failing', 'working']);
      assert.equal(log.dropped(), 0);
      await log.pump.close();
      assert.deepEqual(numbers(recordsUnder(missing)), upTo(6));
    }));

  it('is written at once before a crash, each line once', () =>
    withFolder({}, async (folder) => {
      const log = openFile(logFile(join(folder, 'a.log')));
      log.write(100);
      log.pump.flushSync();
      assert.deepEqual(numbers(recordsUnder(folder)), upTo(100));
      log.write(50);
      // Now some are on their way.
      await new Promise(setImmediate);
      log.write(50);
      log.pump.flushSync();
      await log.pump.close();
      assert.deepEqual(
        numbers(recordsUnder(folder)).toSorted((a, b) => a - b),
        upTo(200),
      );
    }));
});

describe('rotation by size', () => {
  it('is exact: no file is larger, no line is cut or lost, through 100 rotations under load with compression', () =>
    withFolder({}, async (folder) => {
      const log = openFile(logFile(join(folder, 'a.log'), { maxBytes: 8_000, gzip: true }));
      const rounds = 40;
      for (let round = 0; round < rounds; round += 1) {
        // Bursts larger than a file, and small ones; many within one millisecond.
        log.write(400, 'x'.repeat(40));
        log.clock.nowMs += 7;
        await new Promise((resolve) => setTimeout(resolve, 1));
        log.write(100);
      }
      const names = () => namesIn(folder).filter((name) => name !== 'a.log');
      await eventually('100 files were put aside', () => names().length >= 100);
      await eventually('all are compressed', () => names().every((name) => name.endsWith('.gz')));
      await log.pump.close();
      assert.deepEqual(log.reports, []);
      assert.deepEqual(log.hints, []);
      for (const name of namesIn(folder)) {
        const size = recordsIn(join(folder, name)).reduce((sum, each) => sum + JSON.stringify(each).length + 1, 0);
        assert.ok(size <= 8_000 && size > 0, `${name}: ${size}`);
      }
      // Sorted by name they are in order of time, the current one last.
      const files = [...names(), 'a.log'];
      assert.deepEqual(numbers(files.flatMap((name) => recordsIn(join(folder, name)))), upTo(rounds * 500));
    }));

  for (const isOneByOne of [false, true]) {
    const way = isOneByOne ? 'one by one' : 'in one go';
    it(`is filled to its last byte by lines that come ${way}, and to none beyond it, whatever their characters take`, () =>
      withFolder({}, async (folder) => {
        const padding = '☃'.repeat(20);
        const lineBytes = Buffer.byteLength(`${JSON.stringify({ n: 0, padding })}\n`);
        for (const [name, maxBytes, fitting] of [
          ['full', 3 * lineBytes, 3],
          ['a-byte-short', 3 * lineBytes - 1, 2],
        ] as const) {
          const own = join(folder, name);
          fs.mkdirSync(own);
          const log = openFile(logFile(join(own, 'a.log'), { maxBytes }));
          if (isOneByOne) for (let n = 0; n < 6; n += 1) await log.writeOne(own, padding);
          else log.write(6, padding);
          await log.pump.close();
          const sizes = namesIn(own).map((file) => fs.statSync(join(own, file)).size);
          assert.deepEqual(sizes, Array(6 / fitting).fill(fitting * lineBytes), name);
        }
      }));
  }

  it('gives a line that is larger than a file one of its own', () =>
    withFolder({}, async (folder) => {
      const log = openFile(logFile(join(folder, 'a.log'), { maxBytes: 1_000 }));
      log.write(1);
      log.write(1, 'x'.repeat(5_000));
      log.write(1);
      await log.pump.close();
      assert.deepEqual(
        namesIn(folder).map((name) => numbers(recordsIn(join(folder, name)))),
        [[2], [0], [1]],
      );
    }));

  it('keeps as many old files as it is told to, the newest, and touches no file of another name', () => {
    const foreign = {
      'a.log.1': '',
      'a.log.gz': 'x',
      'a.log.bak': '',
      'xa.log.20240101T000000000': '',
      'a.log.20240101T000000000.zip': '',
      'aXlog.20240101T000000000': '',
    };
    return withFolder({ ...foreign, 'a.log.20240101T000000000': '{"n":-9}\n' }, async (folder) => {
      const log = openFile(logFile(join(folder, 'a.log'), { maxBytes: 1_000, keep: 3, gzip: true }));
      log.write(1_000);
      const own = () => namesIn(folder).filter((name) => !(name in foreign));
      await eventually('the rest is gone', () => {
        const names = own();
        return names.length === 4 && names.slice(1).every((name) => name.endsWith('.gz'));
      });
      await log.pump.close();
      const kept = numbers(own().flatMap((name) => recordsIn(join(folder, name)))).toSorted((a, b) => a - b);
      assert.deepEqual(kept, upTo(1_000).slice(-kept.length));
      assert.deepEqual(
        namesIn(folder).filter((name) => name in foreign),
        Object.keys(foreign).toSorted(),
      );
    });
  });

  it('finishes what a crash left: a compression half done, a file not compressed yet', () => {
    const old = '20240101T00000000';
    const files = {
      [`a.log.${old}1`]: '{"n":1}\n',
      [`a.log.${old}1.gz.tmp`]: 'half of it',
      [`a.log.${old}2.gz.tmp`]: 'half of it',
      [`a.log.${old}3`]: '{"n":3}\n',
      [`a.log.${old}3.gz`]: 'not whole, or whole: it is made again',
    };
    return withFolder(files, async (folder) => {
      const log = openFile(logFile(join(folder, 'a.log'), { maxBytes: 1_000, keep: 9, gzip: true }));
      log.write(1);
      const wanted = ['a.log', `a.log.${old}1.gz`, `a.log.${old}3.gz`];
      await eventually('tidy', () => namesIn(folder).join() === wanted.join());
      await log.pump.close();
      assert.deepEqual(numbers(recordsUnder(folder)).toSorted(), [0, 1, 3]);
    });
  });

  it('goes on with a file that cannot be put aside, and says so', () =>
    withFolder({}, async (folder) => {
      // With a time behind it, the name is longer than a name can be.
      const log = openFile(logFile(join(folder, `${'a'.repeat(245)}.log`), { maxBytes: 1_000 }));
      log.write(100);
      await log.pump.close();
      assert.deepEqual(numbers(recordsUnder(folder)), upTo(100));
      assert.match(log.hints.join(), /^[^,]*ENAMETOOLONG[^,]*,?[^,]*$/);
      assert.equal(log.hints.length, 1);
      assert.deepEqual(log.reports, []);
    }));

  it('takes no name that a compressed file has already', () =>
    withFolder({}, async (folder) => {
      const before = join(folder, 'a.log.20240228T235959900.gz');
      fs.writeFileSync(before, gzipSync('{"n":-1}\n'));
      const log = openFile(logFile(join(folder, 'a.log'), { maxBytes: 1_000, gzip: true }));
      log.write(100);
      await eventually('all are compressed', () => namesIn(folder).every((name) => /^a\.log$|\.gz$/.test(name)));
      await log.pump.close();
      assert.deepEqual(numbers(recordsIn(before)), [-1]);
      assert.deepEqual(
        numbers(recordsUnder(folder)).toSorted((a, b) => a - b),
        [-1, ...upTo(100)],
      );
    }));

  it('goes by the size that it has: somebody who copied it and cut it short leaves room', () =>
    withFolder({}, async (folder) => {
      const file = join(folder, 'a.log');
      const log = openFile(logFile(file, { maxBytes: 1_000 }));
      log.write(1, 'x'.repeat(900));
      await log.writeOne(folder);
      fs.truncateSync(file);
      log.clock.nowMs += 1_000;
      log.write(1, 'x'.repeat(900));
      await log.pump.close();
      assert.deepEqual(namesIn(folder), ['a.log']);
      assert.deepEqual(numbers(recordsIn(file)), [2]);
    }));

  it('leaves a file alone that somebody else has put in its place', () =>
    withFolder({}, async (folder) => {
      const file = join(folder, 'a.log');
      const log = openFile(logFile(file, { maxBytes: 1_000 }));
      await log.writeOne(folder);
      fs.renameSync(file, join(folder, 'theirs'));
      fs.writeFileSync(file, '{"n":-1}\n');
      log.write(100);
      await log.pump.close();
      assert.deepEqual(numbers(recordsIn(join(folder, 'theirs'))).at(0), 0);
      // What is put aside later holds lines of ours, too.
      const others = namesIn(folder).map((name) => numbers(recordsIn(join(folder, name))));
      assert.ok((others.find((each) => each.includes(-1)) ?? []).length > 1, JSON.stringify(others));
      assert.equal(recordsUnder(folder).length, 102);
    }));
});

describe('rotation by date', () => {
  it('begins a new file at midnight UTC, and names the old one after its last line', () =>
    withFolder({}, async (folder) => {
      const log = openFile(logFile(join(folder, 'a.log'), { daily: true }));
      await log.writeOne(folder);
      log.clock.nowMs += 99;
      await log.writeOne(folder);
      log.clock.nowMs += 1;
      await log.writeOne(folder);
      // Leap day: 2024-02-29.
      log.clock.nowMs += DAY_MS;
      await log.writeOne(folder);
      await log.pump.close();
      assert.deepEqual(namesIn(folder), ['a.log', 'a.log.20240228T235959999', 'a.log.20240229T000000000']);
      assert.deepEqual(
        namesIn(folder).map((name) => numbers(recordsIn(join(folder, name)))),
        [[3], [0, 1], [2]],
      );
    }));

  it('puts yesterday aside when it starts today', () =>
    withFolder({ 'a.log': '{"n":-1}\n' }, async (folder) => {
      const file = join(folder, 'a.log');
      const yesterday = new Date('2024-02-27T12:00:00.000Z');
      fs.utimesSync(file, yesterday, yesterday);
      const log = openFile(logFile(file, { daily: true }));
      log.write(1);
      await log.pump.close();
      assert.deepEqual(namesIn(folder), ['a.log', 'a.log.20240227T120000000']);
    }));

  it('follows a name with the date in it; what is over is compressed, and the oldest goes', () =>
    withFolder(
      { 'a-20240226.log': '{"n":-2}\n', 'a-20240227.log': '{"n":-1}\n', 'a-2024022.log': '' },
      async (folder) => {
        const log = openFile(logFile(join(folder, 'a-%Y%m%d.log'), { keep: 2, gzip: true }));
        await log.writeOne(folder);
        log.clock.nowMs += 100;
        await log.writeOne(folder);
        const wanted = ['a-2024022.log', 'a-20240227.log.gz', 'a-20240228.log.gz', 'a-20240229.log'];
        await eventually('tidy', () => namesIn(folder).join() === wanted.join());
        await log.pump.close();
      },
    ));

  it('goes by size within a day too, in order', () =>
    withFolder({}, async (folder) => {
      const log = openFile(logFile(join(folder, 'a-%Y%m%d.log'), { maxBytes: 1_000, keep: 3 }));
      log.write(100);
      await log.writeOne(folder);
      log.clock.nowMs += 100;
      await log.writeOne(folder);
      await eventually('three old ones', () => namesIn(folder).length === 4);
      await log.pump.close();
      const [today, plain, ...aside] = namesIn(folder).toReversed();
      assert.equal(today, 'a-20240229.log');
      // What was written last on a day keeps that day's name; sorted by it they are in order all the same.
      assert.ok(aside.length === 2 && plain?.startsWith('a-20240228.log.'), String(aside));
      const kept = numbers(recordsUnder(folder)).toSorted((a, b) => a - b);
      assert.deepEqual(kept, upTo(102).slice(-kept.length));
    }));

  it('begins a new file each hour where the name has the hour', () =>
    withFolder({}, async (folder) => {
      const log = openFile(logFile(join(folder, '%d.%m.%Y-%H.log')));
      await log.writeOne(folder);
      log.clock.nowMs += 3_600_000;
      await log.writeOne(folder);
      await log.pump.close();
      assert.deepEqual(namesIn(folder), ['28.02.2024-23.log', '29.02.2024-00.log']);
    }));

  it('does not compress what another process still writes to', () =>
    withFolder({}, async (folder) => {
      const old = join(folder, 'a-20240227.log');
      fs.writeFileSync(old, `${JSON.stringify({ n: -1, padding: randomBytes(8_000_000).toString('hex') })}\n`);
      const log = openFile(logFile(join(folder, 'a-%Y%m%d.log'), { gzip: true }));
      log.write(1);
      await eventually('compression has begun', () => fs.existsSync(`${old}.gz.tmp`) || fs.existsSync(`${old}.gz`));
      fs.appendFileSync(old, '{"n":-3}\n');
      await eventually('that it grows is told', () => log.hints.join().includes('still grows'));
      await log.pump.close();
      assert.deepEqual(numbers(recordsIn(old)), [-1, -3]);
    }));
});
