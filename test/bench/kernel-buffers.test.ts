import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withFolder } from '../support/with-folder.ts';
import { boundUnsent } from './kernel-buffers.ts';

const BEFORE = '4294967295\n';

test("the kernel's bound of what is unsent is what it was once it is disposed of", () =>
  withFolder({}, async (folder) => {
    const file = join(folder, 'bound');
    writeFileSync(file, BEFORE);
    const listeners = () => ['exit', 'SIGINT', 'SIGTERM', 'SIGHUP'].map((event) => process.listenerCount(event));
    const listenersBefore = listeners();
    {
      await using _bound = boundUnsent(file);
      assert.equal(readFileSync(file, 'utf8'), '131072');
    }
    assert.equal(readFileSync(file, 'utf8'), BEFORE);
    assert.deepEqual(listeners(), listenersBefore);
  }));

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`it is also when ${signal} ends the process, which is still its end`, () =>
    withFolder({}, async (folder) => {
      const file = join(folder, 'bound');
      writeFileSync(file, BEFORE);
      const module = new URL('kernel-buffers.ts', import.meta.url).href;
      const script = `import { boundUnsent } from '${module}'; boundUnsent('${file}'); console.log('bound'); setInterval(() => {}, 1e6);`;
      const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      assert.equal(readFileSync(file, 'utf8'), '131072');
      child.kill(signal);
      const [, endedBy] = await once(child, 'exit');
      assert.equal(endedBy, signal);
      assert.equal(readFileSync(file, 'utf8'), BEFORE);
    }));
}
