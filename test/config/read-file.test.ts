import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { fileSignature, readTextFile } from '../../src/config/read-file.ts';
import { withFolder } from '../support/with-folder.ts';

test('a file that was changed less than a second ago is not taken for known: it may change again in the same tick', async (t) => {
  await withFolder({ file: 'text' }, async (folder) => {
    const file = `${folder}/file`;
    const changedAt = Math.ceil(statSync(file).ctimeMs);
    t.mock.timers.enable({ apis: ['Date'], now: changedAt + 900 });
    assert.equal(fileSignature(file), null);
    assert.equal(readTextFile(file).signature, null);
    t.mock.timers.setTime(changedAt + 1_100);
    assert.equal(typeof fileSignature(file), 'string');
    assert.equal(readTextFile(file).signature, fileSignature(file));
  });
});
