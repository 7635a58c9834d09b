import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { breaches } from './support/architecture.ts';
import { sourceFiles } from './support/source-imports.ts';

const INSIDE = /^src\/(?:server|agent|tunnel|registry)\//;
/** What an end-to-end test may compare a result with. */
const ORACLES = ['src/server/sha512-crypt.ts'];

describe('the rooms of the code', () => {
  it('are kept: arrows, circles, lengths, exports, packages', () => {
    assert.deepEqual(breaches(sourceFiles('src')), []);
  });

  it('are found: a test over no files would prove nothing', () => {
    assert.ok(sourceFiles('src').length > 20);
    assert.deepEqual(breaches(sourceFiles('no-such-folder')), ['no source file was found']);
  });

  it('are entered by the end-to-end tests through src/index.ts alone', () => {
    const files = sourceFiles('test/e2e');
    assert.ok(files.length > 0);
    const wrong = files.flatMap(({ path, imports }) =>
      imports.flatMap(({ file, typeOnly }) =>
        !typeOnly && file !== null && INSIDE.test(file) && !ORACLES.includes(file) ? [`${path}: ${file}`] : [],
      ),
    );
    assert.deepEqual(wrong, []);
  });
});

describe('the judge of the rooms', () => {
  const wrongs: readonly (readonly [title: string, files: Record<string, string>, breach: RegExp])[] = [
    [
      'core imports net',
      { 'core/a.ts': `import { b } from '../net/b.ts';`, 'net/b.ts': '' },
      /core may not import src\/net/,
    ],
    ['server imports agent', { 'server/a.ts': `import type { B } from '../agent/b.ts';`, 'agent/b.ts': '' }, /may not/],
    [
      'agent imports server',
      { 'agent/a.ts': `const b = await import('../server/b.ts');`, 'server/b.ts': '' },
      /may not/,
    ],
    [
      'server imports log',
      { 'server/a.ts': `import '../log/b.ts';`, 'log/b.ts': '' },
      /server may not import src\/log/,
    ],
    ['an export from another room', { 'tunnel/a.ts': `export { b } from '../cli/b.ts';`, 'cli/b.ts': '' }, /may not/],
    ['config takes a value of the server', { 'config/a.ts': `import { b } from '../server/options.ts';` }, /may not/],
    ['an import over several lines', { 'net/a.ts': `import {\n  b,\n  c,\n} from '../agent/b.ts';` }, /may not/],
    ['core imports a package', { 'core/a.ts': `import { z } from 'zod';` }, /may not import the package zod/],
    [
      'a circle',
      { 'net/a.ts': `import './b.ts';`, 'net/b.ts': `import './c.ts';`, 'net/c.ts': `import './a.ts';` },
      /a circle: src\/net\/a.ts -> src\/net\/b.ts/,
    ],
    ['a file of 301 lines', { 'net/a.ts': '\n'.repeat(301) }, /301 lines/],
    ['a default export', { 'net/a.ts': 'export default 1;' }, /default export/],
    ['a barrel', { 'net/a.ts': `export * from './b.ts';`, 'net/b.ts': '' }, /only src\/index.ts may/],
    ['the environment outside cli', { 'server/a.ts': 'const x = process.env.HOME;' }, /only cli may/],
    ['an import that cannot be judged', { 'net/a.ts': 'await import(name);' }, /only the run will tell/],
    ['a room of its own making', { 'utils/a.ts': '' }, /utils is no room/],
  ];
  for (const [title, files, breach] of wrongs) {
    it(`sees: ${title}`, () => {
      const found = judge(files);
      assert.ok(
        found.some((sentence) => breach.test(sentence)),
        `${breach} in ${JSON.stringify(found)}`,
      );
    });
  }

  it('finds nothing where nothing is wrong, whatever comments say', () => {
    const files = {
      'core/a.ts': `// import { b } from '../net/b.ts';\n/* export default 1 */\nimport { x } from 'node:fs';\n`,
      'config/a.ts': `import type { S } from '../server/options.ts';\nimport { type T } from '../agent/options.ts';\n`,
      'index.ts': `export { c } from './core/a.ts';\n`,
      'net/a.ts': `import { a } from '../core/a.ts';\nconst url = 'http://x'; // import './b.ts'\n`,
    };
    assert.deepEqual(judge(files), []);
  });
});

function judge(files: Readonly<Record<string, string>>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'backdial-rooms-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      const path = join(root, 'src', name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
    return breaches(sourceFiles('src', root));
  } finally {
    rmSync(root, { recursive: true });
  }
}
