import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadAgent } from '../../src/config/load-agent.ts';
import { loadServer } from '../../src/config/load-server.ts';
import { formatProblem, type Problem } from '../../src/config/problems.ts';
import { type FolderFiles, withFolder } from '../support/with-folder.ts';

async function load(admin: string, files: FolderFiles = {}) {
  const given = { 'server.json5': `{ listen: 8443, admin: ${admin} }`, 'domains/.keep': '', ...files };
  return withFolder(given, async (folder) => {
    const result = await loadServer(`${folder}/server.json5`);
    const lines = (problems: readonly Problem[]) =>
      problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ''));
    return {
      admin: result.ok ? result.config.admin : undefined,
      problems: result.ok ? [] : lines(result.problems),
      warnings: lines(result.warnings),
    };
  });
}

describe('`admin` and `api`', () => {
  it('say where to listen, and with which token', async () => {
    assert.equal((await load('null')).admin, null);
    const { admin } = await load('{ listen: "127.0.0.1:9090" }');
    assert.deepEqual(admin, { listen: [{ host: '127.0.0.1', port: 9_090 }], token: null });
    const guarded = await load('{ listen: ["[::]:9090", "unix:/run/a.sock"], token: "@t" }', {
      t: 'a token, long enough\n',
    });
    assert.deepEqual(guarded.admin?.listen, [{ host: '::', port: 9_090 }, { path: '/run/a.sock' }]);
    assert.equal(guarded.admin?.token?.reveal(), 'a token, long enough');
    const api = await withFolder(
      { 'agent.json5': '{ api: { listen: "unix:a.sock" } }', 'domains/.keep': '' },
      (folder) => loadAgent(`${folder}/agent.json5`).then((result) => [result.ok && result.config.api?.listen, folder]),
    );
    assert.deepEqual(api[0], [{ path: `${api[1]}/a.sock` }]);
  });

  const wrongs: readonly (readonly [title: string, admin: string, problem: RegExp])[] = [
    ['no place to listen', '{ token: "a token, long enough" }', /admin\.listen: found nothing; the key is needed/],
    ['an empty list', '{ listen: [] }', /1:34: admin\.listen: found an empty list/],
    [
      'an open address without a token',
      '{ listen: "0.0.0.0:90" }',
      /0\.0\.0\.0:90 is reached from elsewhere; allowed without a `token`: 127/,
    ],
    ['a port, which is every address, without one', '{ listen: 9090 }', /0\.0\.0\.0:9090 is reached from elsewhere/],
    ['a name without one', '{ listen: "vps.example.com:90" }', /vps\.example\.com:90 is reached from elsewhere/],
    ['a hash', '{ listen: 90, token: "$6$x" }', /admin\.token: the token is a hash; allowed: the token itself/],
    ['a number', '{ listen: 90, token: 7 }', /admin\.token: found a value of type number; allowed: a text or "@file"/],
    ['an empty token', '{ listen: 90, token: "" }', /admin\.token: the token is empty/],
    ['a file that is not there', '{ listen: 90, token: "@t" }', /admin\.token: the token's file t /],
    ['a text', '"127.0.0.1:90"', /admin: found "127\.0\.0\.1:90"; allowed: an object with the keys listen, token/],
    ['an unknown key', '{ listen: "127.0.0.1:90", tokens: 1 }', /did you mean `token`/],
    [
      'the address of a front door',
      '{ listen: "0.0.0.0:8443", token: "a token, long enough" }',
      /taken by the front door/,
    ],
  ];
  for (const [title, admin, problem] of wrongs) {
    it(`are refused with ${title}`, async () => {
      const { problems } = await load(admin);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', problem);
    });
  }

  it('warn of a short token', async () => {
    const { warnings } = await load('{ listen: 9090, token: "short" }');
    assert.match(warnings.join(), /admin\.token: the token is short; 16 bytes/);
  });
});
