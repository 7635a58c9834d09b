import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { GarbageWatch } from '../../src/cli/bulk-garbage.ts';

const MODULE = JSON.stringify(fileURLToPath(new URL('../../src/cli/bulk-garbage.ts', import.meta.url)));
const MEGABYTE = 1024 * 1024;

describe('when what is collected', () => {
  const MB = MEGABYTE;
  const BUSY_US = 10_000;

  test('each 16 MB the young generation, counted from what the last collection left', () => {
    const watch = new GarbageWatch(4 * MB);
    assert.equal(watch.look(19 * MB, 0), null);
    assert.equal(watch.look(20 * MB, BUSY_US), 'minor');
    watch.collected('minor', 10 * MB, BUSY_US);
    assert.equal(watch.look(25 * MB, 2 * BUSY_US), null);
    assert.equal(watch.look(26 * MB, 3 * BUSY_US), 'minor');
  });

  test('what is given back a moment after a collection counts as collected by it', () => {
    const watch = new GarbageWatch(0);
    assert.equal(watch.look(16 * MB, 0), 'minor');
    watch.collected('minor', 15 * MB, 0);
    assert.equal(watch.look(2 * MB, BUSY_US), null);
    assert.equal(watch.look(18 * MB, 2 * BUSY_US), 'minor');
  });

  test('everything where young collections left 32 MB, and from then on counted from what that left', () => {
    const watch = new GarbageWatch(30 * MB);
    let bytes = 0;
    assert.equal(watch.look(bytes, 0), null);
    for (const [left, collection] of [
      [20, 'minor'],
      [40, 'minor'],
      [38, 'major'],
      [50, 'minor'],
    ] as const) {
      bytes += 20 * MB;
      assert.equal(watch.look(bytes, 0), collection);
      bytes = left * MB;
      watch.collected(collection, bytes, 0);
    }
  });

  /** A quiet process may take so much between two looks that are 20 ms from each other. */
  const QUIET_US = 500;

  /** So many looks in a row that see nothing pass. */
  function stand(watch: GarbageWatch, looks: number, bytes: number, cpu: number): (string | null)[] {
    return Array.from({ length: looks }, () => watch.look(bytes, cpu));
  }
  const nothing = (looks: number): null[] => Array.from({ length: looks }, () => null);

  test('everything, once, after a burst that left 64 MB: when six rare looks in a row saw the process quiet', () => {
    const watch = new GarbageWatch(0);
    let cpu = 200_000 + QUIET_US;
    assert.equal(watch.look(70 * MB, cpu), 'minor');
    watch.collected('minor', 70 * MB, cpu);
    assert.deepEqual(stand(watch, 16, 70 * MB, cpu), [...nothing(15), 'lastResort']);
    cpu += 150_000;
    watch.collected('lastResort', 66 * MB, cpu);
    // Neither what that one took nor what was before it makes a burst of this.
    cpu += 100_000;
    assert.deepEqual(stand(watch, 20, 66 * MB, cpu), nothing(20));
    // The next burst.
    cpu += 205_000;
    assert.deepEqual(stand(watch, 6, 66 * MB, cpu), nothing(6));
    cpu += BUSY_US;
    assert.deepEqual(stand(watch, 7, 66 * MB, cpu), [...nothing(6), 'lastResort']);
  });

  test('a process that bytes pass through is not quiet, however little CPU that takes', () => {
    const watch = new GarbageWatch(70 * MB);
    watch.look(70 * MB, 300_000);
    for (let n = 0; n < 40; n += 1) assert.equal(watch.look((70 + 2 * (n % 2)) * MB, 300_000), null);
    assert.deepEqual(stand(watch, 17, 70 * MB, 300_000), [...nothing(16), 'lastResort']);
  });

  test('a burst that took little CPU, or left little, is none', () => {
    for (const [bytes, cpu] of [
      [70 * MB, 199_999 + QUIET_US],
      [63 * MB, 300_000],
    ] as const) {
      const watch = new GarbageWatch(bytes);
      assert.deepEqual(stand(watch, 20, bytes, cpu), nothing(20));
    }
  });

  test('what a quiet process takes in hours is no burst', () => {
    const watch = new GarbageWatch(70 * MB);
    for (let n = 0; n < 1_000; n += 1) assert.equal(watch.look(70 * MB, n * 4_999), null);
  });

  test('looks are frequent where something passes, and until nothing did for ten of them: a transfer stands still for a moment', () => {
    const watch = new GarbageWatch(0);
    const after = (bytes: number) => {
      watch.look(bytes, 0);
      return watch.nextLookMs;
    };
    const still = Array.from({ length: 9 }, () => after(0));
    assert.deepEqual([watch.nextLookMs, ...still, after(0), after(0)], [...Array(10).fill(20), 200, 200]);
    assert.deepEqual([after(MB), after(MB + 1), after(2 * MB + 1), after(3 * MB)], [20, 20, 20, 20]);
    assert.deepEqual([...Array.from({ length: 8 }, () => after(3 * MB)), after(3 * MB)], [...Array(8).fill(20), 200]);
  });
});

describe('a bulk transfer', () => {
  let alone: Transferred;
  let looked: Transferred;
  before(async () => {
    alone = await transfer('');
    looked = await transfer(`(await import(${MODULE})).collectBulkGarbage();`);
  });

  test('has the buffers of bytes that went through collected long before V8 would do it', () => {
    assert.ok(looked.most < 48 && looked.most < 0.85 * alone.most, `${looked.most} MB instead of ${alone.most} MB`);
  });

  test('does not make V8 collect all of a heap that is hardly in use, again and again', () => {
    const figures = `${looked.full} full collections instead of ${alone.full}`;
    assert.ok(alone.full >= 3 && looked.full <= 1, figures);
  });
});

/** In a program: `spent()` is the CPU since it was first asked, ms, however busy the machine is. */
const SPENT = `
    let before;
    const spent = () => {
      before ??= process.cpuUsage();
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1_000;
    };`;

test('what a burst leaves behind is collected once the process is quiet', async () => {
  const program = `
    (await import(${MODULE})).collectBulkGarbage();
    let held = Array.from({ length: 1_600 }, () => Buffer.alloc(65_536, 1));
    // Until what it allocated was looked at, and is old.
    ${SPENT}
    setTimeout(() => {
      while (spent() < 250);
      held = null;
      const end = performance.now() + 20_000;
      const timer = setInterval(() => {
        const left = process.memoryUsage().arrayBuffers;
        if (left > ${16 * MEGABYTE} && performance.now() < end) return;
        clearInterval(timer);
        console.log(left);
      }, 100);
    }, 300);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  assert.ok(Number(stdout) < 16 * MEGABYTE, `${stdout} bytes are left`);
});

test('the room that the heap took for a burst is given back, also where what the burst left is in use', async () => {
  const program = `
    import { getHeapSpaceStatistics } from 'node:v8';
    const room = () => getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size;
    (await import(${MODULE})).collectBulkGarbage();
    globalThis.held = Array.from({ length: 1_600 }, () => Buffer.alloc(65_536, 1));
    ${SPENT}
    setTimeout(() => {
      let ring = [];
      while (spent() < 400) ring = [...ring.slice(-50_000), ...Array.from({ length: 1_000 }, () => ({}))];
      const taken = room();
      const end = performance.now() + 20_000;
      const timer = setInterval(() => {
        const left = room();
        if (left >= taken / 4 && performance.now() < end) return;
        clearInterval(timer);
        console.log(JSON.stringify({ taken, left }));
      }, 100);
    }, 300);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  const { taken, left } = JSON.parse(stdout) as { taken: number; left: number };
  assert.ok(taken > 2 * MEGABYTE && left < taken / 4, `${left} bytes of ${taken}`);
});

interface Transferred {
  /** The most that read buffers came to, MB. */
  readonly most: number;
  /** Full collections, begun by whomever. */
  readonly full: number;
}

/** Sends 300 MB through a socket of a process of its own that runs `first`. */
async function transfer(first: string): Promise<Transferred> {
  const program = `
    import { createServer, connect } from 'node:net';
    import { constants, PerformanceObserver } from 'node:perf_hooks';
    import { setFlagsFromString } from 'node:v8';
    import { runInNewContext } from 'node:vm';
    // As large as that of a program that has started, and collected once: V8 measures its steps by that.
    globalThis.kept = Array.from({ length: 100_000 }, (_, index) => ({ index, text: 'kept ' + index }));
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc');
    ${first}
    collect();
    let full = 0;
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) full += 1;
    }).observe({ entryTypes: ['gc'] });
    let most = 0;
    const look = () => { most = Math.max(most, process.memoryUsage().arrayBuffers); };
    const chunk = Buffer.alloc(${MEGABYTE});
    const server = createServer((socket) => {
      let left = 300;
      // At a pace: between two looks no more than some MB may pass, and they are rare until something does.
      const next = () => {
        if (left-- === 0) return socket.end();
        socket.write(chunk);
        setTimeout(next, left > 285 ? 20 : 4);
      };
      next();
    });
    server.listen(0, '127.0.0.1', () => {
      const client = connect(server.address().port, '127.0.0.1');
      client.on('data', look);
      client.on('close', () => { setImmediate(() => console.log(JSON.stringify({ most: Math.round(most / ${MEGABYTE}), full }))); server.close(); });
    });`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  return JSON.parse(stdout) as Transferred;
}
