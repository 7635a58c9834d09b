import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Findings } from '../../src/config/findings.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { openSource, parseSource } from '../../src/config/source.ts';
import { withFolder } from '../support/with-folder.ts';

function problemsOf(text: string): string[] {
  const findings = new Findings();
  parseSource('f', text, findings);
  return findings.problems.map(formatProblem);
}

describe('a configuration file', () => {
  it('tells where each key and value stands', () => {
    const source = parseSource('f', '// é\n{\n  a: 1,\n\t"b c": [ { d: 0x10 }, 2 ],\n}', new Findings());
    assert.ok(source !== null);
    const at = (path: (string | number)[], what: 'key' | 'value') => {
      const { line, column } = source.locate(path, what);
      return [line, column];
    };
    assert.deepEqual(at([], 'value'), [2, 1]);
    assert.deepEqual(at(['a'], 'key'), [3, 3]);
    assert.deepEqual(at(['a'], 'value'), [3, 6]);
    assert.deepEqual(at(['b c', 0, 'd'], 'key'), [4, 13]);
    assert.deepEqual(at(['b c', 0, 'd'], 'value'), [4, 16]);
    assert.deepEqual(at(['b c', 1], 'value'), [4, 24]);
    assert.deepEqual(at(['b c', 0, 'missing', 'deeper'], 'key'), [4, 11], 'the deepest part that is there');
  });

  it('that is not JSON5 is a problem with its place', () => {
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['', /^f:1:1: not valid JSON5: invalid end of input$/],
      ['{a:}', /^f:1:4: not valid JSON5: invalid character '}'$/],
      ['{\n  a: 1\n  b: 2\n}', /^f:3:3: not valid JSON5: invalid character 'b'$/],
      ['{a: "x\ny"}', /^f:2:1: not valid JSON5: invalid character '\\n'$/],
      ['['.repeat(200_000) + ']'.repeat(200_000), /^f:1:1: not valid JSON5: nested too deeply$/],
    ];
    for (const [text, message] of wrong) {
      const problems = problemsOf(text);
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? '', message);
    }
  });

  it('may not have a key twice, however it is written', () => {
    assert.deepEqual(problemsOf('{ a: 1,\n "a": 2, b: [{ c: 1, "\\u0063": 2 }] }'), [
      'f:2:2: a: the key is there twice, first in line 1',
      'f:2:22: b[0].c: the key is there twice, first in line 2',
    ]);
    const source = parseSource('f', '{ a: 1, a: 22 }', new Findings());
    assert.deepEqual(source?.value, { a: 22 });
    assert.equal(source?.locate(['a'], 'value').column, 12, 'the place is that of the value');
  });

  it('that cannot be read is a problem, and a named pipe is not waited for', { timeout: 5_000 }, async () => {
    await withFolder({ binary: '', large: 'x'.repeat(1_000_001) }, async (folder) => {
      mkdirSync(join(folder, 'folder'));
      execFileSync('mkfifo', [join(folder, 'pipe')]);
      execFileSync('sh', ['-c', 'printf "\\377" > binary'], { cwd: folder });
      const reasons = {
        missing: /does not exist/,
        folder: /is a folder/,
        pipe: /not a regular file/,
        large: /more than 1000000 bytes/,
        binary: /not UTF-8/,
      };
      for (const [name, reason] of Object.entries(reasons)) {
        const findings = new Findings();
        assert.equal(await openSource(join(folder, name), findings), null);
        assert.equal(findings.problems.length, 1);
        assert.match(findings.problems[0]?.message ?? '', reason);
      }
    });
  });
});
