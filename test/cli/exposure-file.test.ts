import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExposureFile } from '../../src/cli/exposure-file.ts';
import type { SavedExposure } from '../../src/index.ts';

const EXPOSURE: SavedExposure = {
  id: 'one',
  name: 'database',
  sourcePort: 9090,
  remote: 'vps.example.com:443',
  destination: { host: '::1', port: 5432 },
  type: 'local',
};

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'backdial-test-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

test('what is saved is there after a restart, in a file that only its owner reads', async (t) => {
  const state = join(folder(t), 'state');
  const file = new ExposureFile(state);
  assert.deepEqual(await file.load(), []);
  await file.save([EXPOSURE]);
  assert.deepEqual(await new ExposureFile(state).load(), [EXPOSURE]);
  assert.equal(statSync(file.path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(state), ['exposures.json']);
});

test('saves at the same time end with the last one', async (t) => {
  const file = new ExposureFile(folder(t));
  const names = Array.from({ length: 20 }, (_, i) => `number ${i}`);
  await Promise.all(names.map((name) => file.save([{ ...EXPOSURE, name }])));
  assert.equal((await file.load())[0]?.name, 'number 19');
});

test('a damaged file is refused with its path, and not overwritten', async (t) => {
  const file = new ExposureFile(folder(t));
  const texts = {
    '{': '.*JSON',
    '[{"id":"one"}]': 'exposure one: ',
    '{}': 'it holds no list',
    '[{"name":"x"}]': '.*no id',
  };
  for (const [text, why] of Object.entries(texts)) {
    writeFileSync(file.path, text);
    await assert.rejects(file.load(), { code: 'config-invalid', message: new RegExp(`${file.path}: ${why}`) });
  }
});

test('a folder that cannot be written to is told of', async (t) => {
  const made = folder(t);
  writeFileSync(join(made, 'state'), 'a file is in the way');
  await assert.rejects(new ExposureFile(join(made, 'state')).save([EXPOSURE]), { code: 'state-unwritable' });
});
