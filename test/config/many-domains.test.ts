import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigFiles } from '../../src/config/config-files.ts';
import { loadServer } from '../../src/config/load-server.ts';
import { withFolder } from '../support/with-folder.ts';

const DOMAINS = 500;
/** It takes 0.15 ms; the rest is for busy machines. */
const MOST_MS_A_DOMAIN = 1;

function domainFile(i: number): string {
  return `{ active: true, secret: "secret of domain ${i}", clients: { networks: "10.${i % 256}.0.0/16", ranges: "mon-fri" } }`;
}

// The short form of the bench `many-domains`.
test('of many domains each costs little, and one that changed is all that is read again', async () => {
  const files: Record<string, string> = { 'server.json5': '{ listen: "127.0.0.1:1" }' };
  for (let i = 0; i < DOMAINS; i += 1) files[`domains/site-${i}.example.com.json5`] = domainFile(i);
  await withFolder(files, async (folder) => {
    const memory = new ConfigFiles();
    const load = async () => {
      const began = process.cpuUsage();
      const loaded = await loadServer(join(folder, 'server.json5'), { files: memory });
      const { user, system } = process.cpuUsage(began);
      assert.ok(loaded.ok);
      return { domains: loaded.config.options.domains, cpuMs: (user + system) / 1_000 };
    };
    const first = await load();
    assert.equal(first.domains.length, DOMAINS);
    assert.ok(first.cpuMs < DOMAINS * MOST_MS_A_DOMAIN, `${first.cpuMs} ms`);
    await writeFile(join(folder, 'domains/site-7.example.com.json5'), domainFile(1_000));
    const second = await load();
    const changed = second.domains.filter((domain) => !first.domains.includes(domain));
    assert.deepEqual(
      changed.map(({ name, secrets }) => `${name} ${secrets?.[0]?.reveal()}`),
      ['site-7.example.com secret of domain 1000'],
    );
    assert.ok(second.cpuMs < first.cpuMs, `${second.cpuMs} ms after ${first.cpuMs} ms`);
  });
});
