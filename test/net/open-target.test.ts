import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { openTarget } from '../../src/net/open-target.ts';
import { withFolder } from '../support/with-folder.ts';
import { within } from '../support/within.ts';

/** A listener with room for one or two, whose thread sleeps until it is woken. */
const BUSY = `
  const net = require('node:net');
  const { parentPort, workerData } = require('node:worker_threads');
  net.createServer((socket) => socket.end('x')).listen({ path: workerData.path, backlog: 1 }, () => {
    parentPort.postMessage('listening');
    Atomics.wait(new Int32Array(workerData.gate), 0, 0);
  });
`;

describe('a Unix socket whose backlog is full', () => {
  test('is waited for, like a port, until the deadline', () =>
    withFolder({}, async (folder) => {
      const path = join(folder, 'socket');
      const gate = new SharedArrayBuffer(4);
      const worker = new Worker(BUSY, { eval: true, workerData: { path, gate } });
      try {
        await within('the listener', once(worker, 'message'));
        const wait = (timeoutMs: number) =>
          openTarget({ path }, { timeoutMs }).then(
            (socket) => socket,
            (error: unknown) => (error as { code: string }).code,
          );
        const early = await Promise.all([1, 2, 3, 4].map(() => wait(60)));
        const failed = early.filter((one) => typeof one === 'string');
        assert.ok(failed.length >= 2, 'the backlog was full');
        assert.ok(failed.every((code) => code === 'target-timeout'));
        const late = wait(10_000);
        Atomics.store(new Int32Array(gate), 0, 1);
        Atomics.notify(new Int32Array(gate), 0);
        const opened = await within('the connection', late);
        assert.ok(typeof opened !== 'string', String(opened));
        for (const one of [...early, opened]) if (typeof one !== 'string') one.destroy();
      } finally {
        await worker.terminate();
      }
    }));

  test('is given up for the reason of an abort', async () => {
    const reason = new Error('given up');
    const signal = AbortSignal.abort(reason);
    await assert.rejects(openTarget({ path: '/nonexistent' }, { timeoutMs: 1_000, signal }), reason);
  });
});
