import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { logFile, recordsIn } from '../support/log-files.ts';
import { openKept } from '../support/log-options.ts';
import { sampleAccess } from '../support/sample-events.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually } from '../support/within.ts';

/** How often this process has the file open. */
function openings(file: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file;
    } catch {
      return false;
    }
  }).length;
}

describe('the logs of a process', () => {
  it('go to any number of destinations at once, the same line to each', () =>
    withFolder({}, async (folder) => {
      const [a, b] = [join(folder, 'a'), join(folder, 'b')];
      const logs = openKept({ system: [logFile(a), logFile(b), 'console'], access: [logFile(b)] });
      logs.system.info('hello');
      logs.observer({ type: 'access', record: sampleAccess() });
      await logs.close();
      assert.deepEqual(
        recordsIn(a).map(({ msg }) => msg),
        ['hello'],
      );
      assert.deepEqual(
        recordsIn(b).map(({ msg, path }) => msg ?? path),
        ['hello', '/index.html'],
      );
      assert.match(logs.shown(), /^[^\n]*hello\n$/);
    }));

  it('open a file once, whoever writes to it and however often it is named', () =>
    withFolder({}, async (folder) => {
      const file = join(folder, 'a');
      const logs = openKept({ system: [logFile(file), logFile(file)], access: [logFile(file)] });
      logs.system.info('hello');
      logs.observer({ type: 'access', record: sampleAccess() });
      await eventually('open', () => openings(file) > 0);
      assert.equal(openings(file), 1);
      await logs.close();
      assert.equal(recordsIn(file).length, 2);
    }));

  it('follow other options at once: what both name stays open, what is new is opened, the rest is written and closed', () =>
    withFolder({}, async (folder) => {
      const [a, b, c] = [join(folder, 'a'), join(folder, 'b'), join(folder, 'c')];
      const logs = openKept({ system: [logFile(a)], access: [logFile(b)] });
      const request = (n: number, reason: 'done' | 'domain-unknown' = 'done') =>
        logs.observer({ type: 'access', record: sampleAccess({ in: n, reason }) });
      logs.system.debug('too little');
      logs.system.info('one');
      request(1);
      request(2, 'domain-unknown');
      await eventually('open', () => openings(a) + openings(b) === 2);
      for (let n = 0; n < 1_000; n += 1) request(3);
      const applied = logs.apply({ level: 'debug', system: [logFile(a)], access: [logFile(c)], disconnected: true });
      logs.system.debug('two');
      request(4);
      request(5, 'domain-unknown');
      await applied;
      assert.equal(recordsIn(b).length, 1_001);
      assert.equal(openings(b), 0);
      await logs.apply({ access: [] });
      request(6);
      logs.system.info('three');
      await logs.close();
      assert.deepEqual(
        recordsIn(a).map(({ msg }) => msg),
        ['one', 'two'],
      );
      assert.deepEqual(
        recordsIn(c).map(({ in: n }) => n),
        [4, 5],
      );
      assert.match(logs.shown(), /^[^\n]*three\n$/);
      assert.deepEqual([a, b, c].map(openings), [0, 0, 0]);
    }));

  it('say on the console what fails, unless they are silent', () =>
    withFolder({}, async (folder) => {
      const missing = logFile(join(folder, 'no', 'a.log'));
      const logs = openKept({ system: [missing] });
      const silent = openKept({ level: 'silent', access: [missing] });
      logs.system.info('hello');
      silent.observer({ type: 'access', record: sampleAccess() });
      await eventually('said', () => logs.shown() !== '');
      await Promise.all([logs.close(), silent.close()]);
      assert.match(
        logs.shown(),
        /ERROR: the log to \S+\/no\/a\.log fails: ENOENT: .*\n.* closed before it took every line: \d+ lines? /,
      );
      assert.equal(silent.shown(), '');
    }));

  it('end with each line written, and take no more', () =>
    withFolder({}, async (folder) => {
      const file = join(folder, 'a');
      const logs = openKept({ system: [], access: [logFile(file)] });
      for (let n = 0; n < 20_000; n += 1) logs.observer({ type: 'access', record: sampleAccess({ in: n }) });
      await logs.close();
      logs.observer({ type: 'access', record: sampleAccess() });
      assert.equal(recordsIn(file).length, 20_000);
      assert.equal(logs.shown(), '');
    }));
});
