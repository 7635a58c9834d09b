import assert from 'node:assert/strict';
import { rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ConfigFiles } from '../../src/config/config-files.ts';
import { loadServer } from '../../src/config/load-server.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { withFolder } from '../support/with-folder.ts';

const MAIN = '{ listen: "127.0.0.1:1" }';
const DOMAIN = '{ active: true, secret: "@a.secret" }';

/** Loads again and again with one memory. */
function reader(folder: string) {
  const files = new ConfigFiles();
  return async () => {
    const loaded = await loadServer(join(folder, 'server.json5'), { files });
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n'));
    const [a, b] = ['a.test', 'b.test'].map((name) => loaded.config.options.domains.find((each) => each.name === name));
    return { loaded, a, b };
  };
}

function withConfig(body: (folder: string) => Promise<void>): Promise<void> {
  const files = {
    'server.json5': MAIN,
    'domains/a.test.json5': DOMAIN,
    'domains/a.secret': 'a secret of enough bytes',
    'domains/b.test.json5': '{ active: true, secret: "short" }',
  };
  return withFolder(files, body);
}

describe('a configuration that is loaded again', () => {
  test('keeps what did not change, the same objects', () =>
    withConfig(async (folder) => {
      const read = reader(folder);
      const [first, second] = [await read(), await read()];
      assert.equal(second.a, first.a);
      assert.equal(second.b, first.b);
      assert.deepEqual(second.loaded.sources, first.loaded.sources);
    }));

  test('repeats what was found of files that did not change', () =>
    withConfig(async (folder) => {
      const read = reader(folder);
      const [first, second] = [await read(), await read()];
      assert.match(second.loaded.warnings.map(formatProblem).join(), /the secret is short/);
      assert.deepEqual(second.loaded.warnings, first.loaded.warnings);
    }));

  test('reads a file anew whose content changed, and no other; the size and times of the old are no excuse', () =>
    withConfig(async (folder) => {
      const read = reader(folder);
      const file = join(folder, 'domains/b.test.json5');
      const then = new Date(Date.now() - 100_000);
      await utimes(file, then, then);
      const first = await read();
      await writeFile(file, '{ active: true, secret: "shirt" }');
      await utimes(file, then, then);
      const second = await read();
      assert.equal(second.a, first.a);
      assert.equal(second.b?.secrets[0]?.reveal(), 'shirt');
    }));

  test('sees a change within the same tick of the clock', () =>
    withConfig(async (folder) => {
      const read = reader(folder);
      for (const secret of ['one', 'two', 'six', 'ten']) {
        await writeFile(join(folder, 'domains/b.test.json5'), `{ active: true, secret: "${secret}" }`);
        assert.equal((await read()).b?.secrets[0]?.reveal(), secret);
      }
    }));

  test('reads a domain anew when a file that it names changed', () =>
    withConfig(async (folder) => {
      const read = reader(folder);
      const first = await read();
      await writeFile(join(folder, 'domains/a.secret'), 'another secret of enough bytes');
      const second = await read();
      assert.equal(second.a?.secrets[0]?.reveal(), 'another secret of enough bytes');
      assert.equal(second.b, first.b);
    }));

  test('takes a file that was touched, or written anew with the same content, for the same', () =>
    withConfig(async (folder) => {
      const read = reader(folder);
      const first = await read();
      const now = new Date();
      await utimes(join(folder, 'domains/b.test.json5'), now, now);
      await writeFile(join(folder, 'new'), DOMAIN, { mode: 0o600 });
      await rename(join(folder, 'new'), join(folder, 'domains/a.test.json5'));
      const second = await read();
      assert.equal(second.a, first.a);
      assert.equal(second.b, first.b);
    }));

  test('forgets a file that is gone, and knows one that is put back', () =>
    withConfig(async (folder) => {
      const read = reader(folder);
      await read();
      await rm(join(folder, 'domains/a.test.json5'));
      assert.equal((await read()).a, undefined);
      await writeFile(join(folder, 'domains/a.test.json5'), '{ active: true, secret: "@a.secret", concurrency: 5 }');
      assert.equal((await read()).a?.concurrency, 5);
    }));

  test('names every file that it looked at, the missing ones too, also where it is refused', () =>
    withConfig(async (folder) => {
      await rm(join(folder, 'domains/a.secret'));
      await writeFile(join(folder, 'server.json5'), '{ certificates: { hosts: "*", cert: "no.pem", key: "no.key" } }');
      const loaded = await loadServer(join(folder, 'server.json5'));
      assert.equal(loaded.ok, false);
      const names = [
        'server.json5',
        'no.pem',
        'no.key',
        'domains/a.test.json5',
        'domains/a.secret',
        'domains/b.test.json5',
      ];
      assert.deepEqual(loaded.sources.files.toSorted(), names.map((name) => join(folder, name)).toSorted());
      assert.deepEqual(loaded.sources.folders, [join(folder, 'domains')]);
    }));
});
