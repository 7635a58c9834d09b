import assert from 'node:assert/strict';
import { chmodSync, chownSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { describe, it } from 'node:test';
import { agentLine, domainFileText, makeSecret, writeDomainFile } from '../../src/config/domain-file.ts';
import { loadServer } from '../../src/config/load-server.ts';
import { Secret } from '../../src/core/secret.ts';
import { isWeakSecret, secretFault } from '../../src/core/secret-rules.ts';
import { withFolder } from '../support/with-folder.ts';

describe('a new domain file', () => {
  it('is served by a server that loads it, and is for its owner only', async () => {
    await withFolder({ 'server.json5': '{}' }, async (folder) => {
      const secret = makeSecret();
      const file = await writeDomainFile(`${folder}/domains`, '*.example.com', domainFileText('*.example.com', secret));
      assert.equal(file, `${folder}/domains/_.example.com.json5`);
      assert.equal(statSync(file).mode & 0o777, 0o600);
      assert.equal(statSync(`${folder}/domains`).mode & 0o777, 0o700);
      const result = await loadServer(`${folder}/server.json5`);
      assert.ok(result.ok);
      assert.deepEqual(result.warnings, []);
      assert.deepEqual(
        result.config.options.domains.map(({ name, secrets }) => [name, secrets[0]?.reveal()]),
        [['*.example.com', secret.reveal()]],
      );
    });
  });

  it('is for the group, too, that the folder is shut for all others but', {
    skip: process.getuid?.() !== 0,
  }, async () => {
    const own = process.getgid?.() ?? 0;
    await withFolder({ 'x/keep': '', 'open/keep': '', 'own/keep': '' }, async (folder) => {
      const made = async (path: string, mode: number, group = 12_345): Promise<string> => {
        chownSync(`${folder}/${path}`, 0, group);
        chmodSync(`${folder}/${path}`, mode);
        const { gid, mode: fileMode } = statSync(await writeDomainFile(`${folder}/${path}`, 'a.example', 'text'));
        return `${gid} ${(fileMode & 0o777).toString(8)}`;
      };
      assert.equal(await made('x', 0o750), '12345 640');
      assert.equal(await made('open', 0o755), `${own} 600`);
      assert.equal(await made('own', 0o750, own), `${own} 640`);
      assert.deepEqual(readdirSync(`${folder}/x`).toSorted(), ['a.example.json5', 'keep']);
    });
  });

  it('never replaces one that is there', async () => {
    await withFolder({ 'a.example.json5': 'mine', 'b.example.json': 'mine' }, async (folder) => {
      for (const name of ['a.example', 'b.example']) {
        await assert.rejects(writeDomainFile(folder, name, 'yours'), {
          code: 'input-invalid',
          message: /has this domain already/,
        });
      }
      assert.equal(readFileSync(`${folder}/a.example.json5`, 'utf8'), 'mine');
      assert.deepEqual(readdirSync(folder).toSorted(), ['a.example.json5', 'b.example.json']);
      await assert.rejects(writeDomainFile(`${folder}/a.example.json5`, 'c.example', ''), {
        code: 'input-invalid',
        message: /c\.example\.json5 (?!has this)/,
      });
    });
  });

  it('is made beside the draft of a program that was killed over it', async () => {
    await withFolder({ [`.a.example.json5.${process.pid}`]: 'half' }, async (folder) => {
      assert.equal(readFileSync(await writeDomainFile(folder, 'a.example', 'whole'), 'utf8'), 'whole');
    });
  });

  it('has a secret that is fresh, strong, and cannot be taken for a flag', () => {
    const secrets = Array.from({ length: 500 }, () => makeSecret().reveal());
    assert.equal(new Set(secrets).size, 500);
    for (const secret of secrets) {
      assert.match(secret, /^[A-Za-z0-9][\w-]{31}$/);
      assert.ok(secretFault(secret) === null && !isWeakSecret(secret));
    }
  });
});

describe("the agent's line", () => {
  it('is a command that a shell takes as it is', () => {
    const secret = new Secret("it's a secret");
    assert.equal(
      agentLine({ name: '*.example.com', secret, server: '[::1]:8443', pin: 'sha256/abc=' }),
      "BACKDIAL_SECRET='it'\\''s a secret' backdial http 3000 --server '[::1]:8443' --domain '*.example.com' --pin sha256/abc=",
    );
    assert.equal(
      agentLine({ name: 'a.example', secret: new Secret('abc'), server: 'a.example:8443', pin: null }),
      'BACKDIAL_SECRET=abc backdial http 3000 --server a.example:8443 --domain a.example',
    );
  });
});
