import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, it } from 'node:test';
import { resolveAgentOptions } from '../../src/agent/resolve-options.ts';
import { loadAgent } from '../../src/config/load-agent.ts';
import { loadServer } from '../../src/config/load-server.ts';
import { resolveServerOptions } from '../../src/server/resolve-options.ts';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { withFolder } from '../support/with-folder.ts';

const FILES = globSync('conf/examples/domains/*.json5').toSorted();
const AGENT_FILES = globSync('conf/examples/agent/domains/*.json5').toSorted();

/** The files, and those that they name. */
function withNamed(paths: readonly string[]): Record<string, string> {
  const files: Record<string, string> = {};
  for (const path of paths) {
    const text = readFileSync(path, 'utf8');
    files[`domains/${basename(path)}`] = text;
    for (const [, name = ''] of text.matchAll(/"@([^"]+)"/g)) {
      files[`domains/${name}`] = name.endsWith('login') ? 'john:a password\n' : 'a secret of a test, long enough\n';
    }
    for (const [name] of text.matchAll(/(?<=")[\w-]+\.pem(?=")/g)) files[`domains/${name}`] = testAuthority().cert;
  }
  return files;
}

describe('the examples of domains', () => {
  it('are served as they are, once the files that they name are there', async () => {
    assert.ok(FILES.length >= 5);
    const files = { 'server.json5': '{ listen: "127.0.0.1:0" }', ...withNamed(FILES) };
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

  it('are dialled for as they are', async () => {
    assert.ok(AGENT_FILES.length >= 3);
    const files = { 'agent.json5': '{}', ...withNamed(AGENT_FILES) };
    const loaded = await withFolder(files, (folder) => loadAgent(`${folder}/agent.json5`));
    assert.deepEqual([loaded.ok ? [] : loaded.problems, loaded.warnings], [[], []]);
    assert.ok(loaded.ok);
    const { domains } = resolveAgentOptions(loaded.config.options);
    assert.deepEqual(
      domains.map(({ name }) => `${name}.json5`),
      AGENT_FILES.map((file) => basename(file)),
    );
  });

  it('say first what they are for', () => {
    for (const file of FILES) assert.match(readFileSync(file, 'utf8'), /^\/\/ A [a-z ]*service\b/);
    for (const file of AGENT_FILES) assert.match(readFileSync(file, 'utf8'), /^\/\/ An? [a-z]+ /);
  });
});
