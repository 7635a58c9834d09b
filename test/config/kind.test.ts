import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kindOf } from '../../src/config/kind.ts';
import { withFolder } from '../support/with-folder.ts';

describe('whose file it is', () => {
  const files: readonly (readonly [name: string, text: string, kind: 'server' | 'agent'])[] = [
    ['x.json5', '{ listen: 443 }', 'server'],
    ['agent.json5', '{ listen: 443, connectTimeout: "1s" }', 'server'],
    ['x.json5', '{ connectTimeout: "1s" }', 'agent'],
    ['x.json5', '{ redirect: 80 }', 'server'],
    ['x.json5', '{}', 'agent'],
    ['server.json5', '{}', 'server'],
    ['server.json5', '{ connectTimeout: "1s" }', 'agent'],
    ['server.json5', 'not JSON5', 'server'],
  ];
  for (const [name, text, kind] of files) {
    it(`${name} with ${text} is that of ${kind === 'agent' ? 'an' : 'a'} ${kind}`, async () => {
      await withFolder({ [name]: text }, async (folder) => assert.equal(await kindOf(`${folder}/${name}`), kind));
    });
  }
});
