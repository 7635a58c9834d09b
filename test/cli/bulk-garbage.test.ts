import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const MODULE = JSON.stringify(fileURLToPath(new URL('../../src/cli/bulk-garbage.ts', import.meta.url)));
const MEGABYTE = 1024 * 1024;

test('the buffers of bytes that went through are collected long before V8 would do it', async () => {
  const { most: alone } = await transfer('');
  const { most: looked } = await transfer(`(await import(${MODULE})).collectBulkGarbage();`);
  assert.ok(looked < 48 && looked < 0.85 * alone, `${looked} MB instead of ${alone} MB`);
});

test('a bulk transfer does not make V8 collect all of a heap that is hardly in use, again and again', async () => {
  const alone = await transfer('');
  const looked = await transfer(`(await import(${MODULE})).collectBulkGarbage();`);
  const figures = `${looked.full} full collections instead of ${alone.full}`;
  assert.ok(alone.full >= 3 && looked.full <= 1, figures);
});

test('what a burst leaves behind is collected once the process is quiet', async () => {
  const program = `
    (await import(${MODULE})).collectBulkGarbage();
    let held = Array.from({ length: 1_600 }, () => Buffer.alloc(65_536, 1));
    // Until what it allocated was looked at, and is old.
    setTimeout(() => {
      for (const end = performance.now() + 250; performance.now() < end; );
      held = null;
      const end = performance.now() + 5_000;
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
    setTimeout(() => {
      let ring = [];
      for (const end = performance.now() + 400; performance.now() < end; ) ring = [...ring.slice(-50_000), ...Array.from({ length: 1_000 }, () => ({}))];
      const taken = room();
      const end = performance.now() + 5_000;
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
      // At a pace: between two looks no more than some MB may pass.
      const timer = setInterval(() => {
        if (left-- > 0) socket.write(chunk);
        else { clearInterval(timer); socket.end(); }
      }, 4);
    });
    server.listen(0, '127.0.0.1', () => {
      const client = connect(server.address().port, '127.0.0.1');
      client.on('data', look);
      client.on('close', () => { setImmediate(() => console.log(JSON.stringify({ most: Math.round(most / ${MEGABYTE}), full }))); server.close(); });
    });`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  return JSON.parse(stdout) as Transferred;
}
