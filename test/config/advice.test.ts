import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { withAdvice } from '../../src/config/advice.ts';
import { withFolder } from '../support/with-folder.ts';

const MISSING = { fault: 'does not exist', missing: true };

test('what to do about a file that is missing: the one that was meant, the folder that is not there, or what is said for it', () =>
  withFolder({ 'server.json5': '', 'domains/a.json5': '' }, async (folder) => {
    const adviceOn = (path: string) => withAdvice(join(folder, path), MISSING, 'make it');
    assert.equal(adviceOn('sevrer.json5'), `does not exist; did you mean ${folder}/server.json5?`);
    assert.equal(adviceOn('domians'), `does not exist; did you mean ${folder}/domains?`);
    assert.equal(adviceOn('none/server.json5'), `does not exist; the folder ${folder}/none is not there either`);
    assert.equal(adviceOn('agent.json5'), 'does not exist; make it');
    const folderItself = { fault: 'is a folder', missing: false };
    assert.equal(withAdvice(folder, folderItself, 'make it'), 'is a folder');
  }));
