import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { describe, it } from 'node:test';
import { withFolder } from '../support/with-folder.ts';

const SOURCE = new URL('../../src/cli/main.ts', import.meta.url);

/** What is compiled: no other file can be imported, for there is none; whoever tries fails loudly. */
const files = () => ({
  'package.json': '{ "type": "module" }',
  'main.js': stripTypeScriptTypes(readFileSync(SOURCE, 'utf8')).replaceAll(/'\.\/([\w-]+)\.ts'/g, "'./$1.js'"),
});

/** A Node on this machine that is older than ours, if there is one. */
function oldNode(): string | null {
  for (const path of ['/usr/bin/node', '/usr/local/bin/node']) {
    try {
      const version = execFileSync(path, ['--version'], { encoding: 'utf8' });
      if (Number(/^v(\d+)/.exec(version)?.[1]) < 24) return path;
    } catch {
      // None there.
    }
  }
  return null;
}

describe('the compiled program on a Node that is too old', () => {
  it('says so in one line before any import and exits 70', async () => {
    for (const version of ['12.22.0', '20.20.2', '24.20.9']) {
      const fake = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`;
      await withFolder(files(), async (folder) => {
        const flags = ['--import', `data:text/javascript,${encodeURIComponent(fake)}`];
        const result = spawnSync(process.execPath, [...flags, `${folder}/main.js`], { encoding: 'utf8' });
        assert.equal(result.status, 70);
        assert.equal(result.stderr, `backdial needs Node 24.21 or newer; this is Node ${version}\n`);
        assert.equal(result.stdout, '');
      });
    }
  });

  it('goes on where the version is high enough', async () => {
    await withFolder(
      {
        ...files(),
        'general-help.js': 'export const quickAnswer = () => null',
        'program.js': 'export const main = (args) => console.log("ran", args)',
      },
      async (folder) => {
        for (const version of ['24.21.0', '25.0.0', '26.10.0']) {
          const fake = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`;
          const flags = ['--import', `data:text/javascript,${encodeURIComponent(fake)}`];
          const result = spawnSync(process.execPath, [...flags, `${folder}/main.js`, 'x'], { encoding: 'utf8' });
          assert.deepEqual([result.status, result.stdout], [0, "ran [ 'x' ]\n"], result.stderr);
        }
      },
    );
  });

  it('does the same on a real one', { skip: oldNode() === null && 'no old Node on this machine' }, async () => {
    await withFolder(files(), async (folder) => {
      const result = spawnSync(String(oldNode()), [`${folder}/main.js`], { encoding: 'utf8' });
      assert.equal(result.status, 70);
      assert.match(result.stderr, /^backdial needs Node 24\.21 or newer; this is Node \d+\.\d+\.\d+\n$/);
    });
  });
});
