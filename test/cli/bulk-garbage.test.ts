import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const MODULE = JSON.stringify(fileURLToPath(new URL('../../src/cli/bulk-garbage.ts', import.meta.url)));
const MEGABYTE = 1024 * 1024;

test('the buffers of bytes that went through are collected long before V8 would do it', async () => {
  const alone = await mostOutsideHeap('');
  const looked = await mostOutsideHeap(`(await import(${MODULE})).collectBulkGarbage();`);
  assert.ok(looked < 48 && looked < 0.85 * alone, `${looked} MB instead of ${alone} MB`);
});

/** Sends 300 MB through a socket of a process of its own that runs `first`; the most that its read buffers came to, MB. */
async function mostOutsideHeap(first: string): Promise<number> {
  const program = `
    import { createServer, connect } from 'node:net';
    ${first}
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
      client.on('close', () => { console.log(Math.round(most / ${MEGABYTE})); server.close(); });
    });`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  return Number(stdout);
}
