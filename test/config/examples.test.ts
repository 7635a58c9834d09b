import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, it } from 'node:test';
import { loadServer } from '../../src/config/load-server.ts';
import { resolveServerOptions } from '../../src/server/resolve-options.ts';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { withFolder } from '../support/with-folder.ts';

const FILES = globSync('conf/examples/domains/*.json5').toSorted();

describe('the examples of domains', () => {
  it('are served as they are, once the files that they name are there', async () => {
    assert.ok(FILES.length >= 4);
    const files: Record<string, string> = { 'server.json5': '{ listen: "127.0.0.1:0" }' };
    for (const file of FILES) {
      const text = readFileSync(file, 'utf8');
      files[`domains/${basename(file)}`] = text;
      for (const [, name = ''] of text.matchAll(/"@([^"]+)"/g)) {
        files[`domains/${name}`] = name.endsWith('login') ? 'john:a password\n' : 'a secret of a test, long enough\n';
      }
      for (const [name] of text.matchAll(/(?<=")[\w-]+\.pem(?=")/g)) files[`domains/${name}`] = testAuthority().cert;
    }
    const loaded = await withFolder(files, (folder) => loadServer(`${folder}/server.json5`));
    assert.deepEqual([loaded.ok ? [] : loaded.problems, loaded.warnings], [[], []]);
    assert.ok(loaded.ok);
    const { cert, key } = testCertificate();
    const { domains } = resolveServerOptions({ ...loaded.config.options, certificates: [{ hosts: ['*'], cert, key }] });
    assert.deepEqual(
      domains.map(({ name }) => `${name}.json5`),
      FILES.map((file) => basename(file)),
    );
  });

  it('say first what they are for', () => {
    for (const file of FILES) assert.match(readFileSync(file, 'utf8'), /^\/\/ A [a-z ]*service\b/);
  });
});
