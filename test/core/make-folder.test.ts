import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { makeFolder } from '../../src/core/make-folder.ts';
import { withFolder } from '../support/with-folder.ts';

const MODULE = new URL('../../src/core/make-folder.ts', import.meta.url).href;
const UNSHARE = process.getuid?.() === 0 ? ['-m'] : ['-rm'];
const canMount = spawnSync('unshare', [...UNSHARE, 'sh', '-c', 'mount -t tmpfs none /mnt']).status === 0;

describe('a folder that is made', () => {
  it('is made with those above it, and left alone where it is there', () =>
    withFolder({}, async (folder) => {
      const made = join(folder, 'a', 'b');
      await makeFolder(made, 0o700);
      assert.equal(statSync(made).mode & 0o777, 0o700);
      await makeFolder(made, 0o755);
      assert.equal(statSync(made).mode & 0o777, 0o700);
    }));

  it('is refused where a file is in the way', () =>
    withFolder({}, async (folder) => {
      await writeFile(join(folder, 'file'), '');
      await assert.rejects(makeFolder(join(folder, 'file', 'state'), 0o700), { code: 'ENOTDIR' });
    }));

  it('is refused with the true reason on a read-only disk', { skip: !canMount && 'no mount namespaces here' }, () =>
    withFolder({}, async (folder) => {
      const program = `const { makeFolder } = await import(process.argv[1]);
        for (const path of ['state', 'a/b/state']) await makeFolder(process.argv[2] + '/' + path, 0o700).catch((e) => console.log(e.code));`;
      const script = 'mount -t tmpfs -o ro none "$5" && exec "$0" "$@"';
      const args = ['sh', '-c', script, process.execPath, '--input-type=module', '-e', program, MODULE, folder];
      const { stdout } = await promisify(execFile)('unshare', [...UNSHARE, ...args], { timeout: 60_000 });
      assert.equal(stdout, 'EROFS\nEROFS\n');
      assert.equal(existsSync(join(folder, 'state')), false);
    }),
  );
});
