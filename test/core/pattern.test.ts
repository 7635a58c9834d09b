import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Pattern, parsePattern } from '../../src/core/pattern.ts';

function pattern(source: string): Pattern {
  const parsed = parsePattern(source);
  assert.ok(typeof parsed !== 'string', `${source} ${parsed}`);
  return parsed;
}

/** What the platform's own finds: where, and each group. */
function native(source: string, text: string) {
  const match = new RegExp(source, 'u').exec(text);
  if (match === null) return null;
  return { start: match.index, end: match.index + match[0].length, groups: [...match].map((group) => group ?? null) };
}

describe('a pattern', () => {
  const cases: readonly (readonly [source: string, texts: readonly string[]])[] = [
    ['^/api/', ['/api/x', '/apix', '/x/api/', '/api/']],
    ['^(GET|HEAD)$', ['GET', 'HEAD', 'GETS', 'head']],
    ['^/users/(\\d+)(?:/(.*))?$', ['/users/12', '/users/12/a/b', '/users/', '/users/x']],
    ['(a|ab)(c|bcd)(d*)', ['abcd', 'acd', 'abbcd']],
    ['(a+?)(a*)', ['aaaa']],
    ['a{2,3}?(a*)', ['a', 'aa', 'aaaaa']],
    ['x{0}y{1,}z{2}', ['yzz', 'xyyzz', 'yz']],
    ['[^/]+\\.(?<ext>js|css)$', ['/a/b.js', '/a.css/x', '/.js']],
    ['[\\d-]+|[-x]|[\\]\\\\]|[$^.]', ['-', '1-2', 'x', ']', '\\', '^', 'y']],
    ['\\bapi\\b', ['/api/', '/apis', 'api', 'x-api-y']],
    ['\\Bpi', ['api', 'pi']],
    ['\\x2e\\u002F\\/\\.\\W\\D\\S', ['.//.-x-', './/.xx-']],
    ['.', ['', '\n', 'é', 'a']],
    ['[^a]', ['é', 'a']],
    ['[]|b', ['ab', 'a']],
    ['[^]', ['\n', '']],
    ['', ['', 'abc']],
    ['^$', ['', 'a']],
    ['(?:|a)b', ['ab', 'b']],
    ['[\\b]', ['\b', 'b']],
    ['^(?:\\s|\\t\\n\\v\\f\\r\\0)', [' ', '\0', '\t']],
  ];
  for (const [source, texts] of cases) {
    test(`/${source}/ finds what JavaScript finds`, () => {
      for (const text of texts) {
        assert.deepEqual(pattern(source).exec(text), native(source, text), JSON.stringify(text));
        assert.equal(pattern(source).test(text), native(source, text) !== null, JSON.stringify(text));
      }
    });
  }

  test('finds what JavaScript finds, whatever it is made of', () => {
    const atom = fc.constantFrom('a', 'b', '/', '.', '[ab]', '[^a]', '\\w', '\\d', '\\b', '^', '$', '(?:ab|a)', '\\/');
    const quantifier = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,3}', '*?', '+?', '??');
    const { node } = fc.letrec<{ node: string; repeated: string; simple: string }>((tie) => ({
      node: fc.oneof(
        { depthSize: 'small', maxDepth: 4 },
        tie('simple'),
        fc.tuple(tie('node'), tie('node')).map((parts) => parts.join('')),
        fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
        tie('node').map((inner) => `(${inner})`),
        tie('repeated'),
      ),
      simple: fc.tuple(atom, quantifier).map(([a, q]) => (/^(?:\\b|\^|\$)$/.test(a) ? a : a + q)),
      // Not empty within a loop, and no group in one: there JavaScript differs from every engine of linear time.
      repeated: fc.tuple(fc.constantFrom('a', 'b/', 'a|b', 'ab|a'), quantifier).map(([a, q]) => `(?:${a})${q}`),
    }));
    const text = fc.array(fc.constantFrom('a', 'b', '/', '1', '-'), { maxLength: 12 }).map((parts) => parts.join(''));
    let matches = 0;
    fc.assert(
      fc.property(node, text, (source, subject) => {
        const expected = native(source, subject);
        if (expected !== null) matches += 1;
        assert.deepEqual(pattern(source).exec(subject), expected);
        assert.equal(pattern(source).test(subject), expected !== null);
      }),
      { numRuns: 3_000 },
    );
    assert.ok(matches > 500, `${matches}`);
  });

  const faults: readonly (readonly [source: string, fault: RegExp])[] = [
    ['(a', /\( without its \)/],
    ['a)', /\) that closes nothing/],
    ['[a', /\[ without its \]/],
    ['a]', /\] that closes nothing/],
    ['*a', /repeats nothing/],
    ['a**', /repeats a repetition/],
    ['^*', /matches no character/],
    ['a{', /\{ that is no repetition/],
    ['a{3,2}', /wrong order/],
    ['a{2000}', /more than 1000 times/],
    ['[b-a]', /wrong order/],
    ['[a-\\d]', /ends with a class/],
    ['[\\d-z]', /begins with a class/],
    ['(a)\\1', /backreference/],
    ['(?<n>a)\\k<n>', /backreference/],
    ['(?=a)', /not supported/],
    ['(?!a)', /not supported/],
    ['(?<=a)', /not supported/],
    ['(?i:a)', /not supported/],
    ['(?<a>x)(?<a>y)', /two groups of one name/],
    ['\\q', /unknown escape \\q/],
    ['\\x2', /incomplete/],
    ['a\\', /backslash at its end/],
    ['é', /beyond ASCII/],
    ['\\u00e9', /beyond ASCII/],
    ['a'.repeat(1_001), /longer than 1000/],
    [`${'('.repeat(51)}a${')'.repeat(51)}`, /more than 50 deep/],
    ['(a{50}){50}', /too large/],
    ['((((a{1000}){1000}){1000}){1000}){1000}', /too large/],
  ];
  for (const [source, fault] of faults) {
    test(`/${source.slice(0, 40)}/ is refused: ${fault.source}`, () => {
      assert.match(String(parsePattern(source)), fault);
    });
  }

  test('takes less than 10 ms with any text, where the usual engine takes for ever', () => {
    const sources = ['^(a+)+$', '(a|a)*b', '(.*a){20}', '(x+x+)+y', '^(([a-z])+.)+[A-Z]([a-z])+$', '[ab]*a[ab]{20}$'];
    sources.push('(?:a?){60}a{60}', '(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)!');
    for (const source of sources) {
      const compiled = pattern(source);
      for (const unit of ['a', 'ab', 'xa/']) {
        for (const length of [1_000, 64_000, 1_000_000]) {
          const text = `${unit.repeat(length / unit.length)}!`;
          // The best of some, of this thread's own time: other processes may hold the machine.
          const took = Array.from({ length: 3 }, () => {
            const began = process.threadCpuUsage();
            compiled.test(text);
            compiled.exec(text);
            const { user, system } = process.threadCpuUsage(began);
            return (user + system) / 2_000;
          });
          assert.ok(Math.min(...took) < 10, `${source} with ${length} of ${unit}: ${took} ms`);
        }
      }
    }
  });

  test('gives up by time as well, for the first of a process take ten times as long; unless others held it up, or it is short', (t) => {
    const compiled = pattern('^(a+)+$');
    const text = `${'a'.repeat(5_000)}!`;
    let [ms, cpuMicros] = [0, 0];
    t.mock.method(performance, 'now', () => {
      ms += 1;
      return ms;
    });
    t.mock.method(process, 'threadCpuUsage', (before?: NodeJS.CpuUsage) => {
      return { user: cpuMicros - (before?.user ?? 0), system: 0 };
    });
    assert.equal(compiled.exec(text), null, 'this thread had no time at all');
    t.mock.method(process, 'threadCpuUsage', (before?: NodeJS.CpuUsage) => {
      cpuMicros += 4_000;
      return { user: cpuMicros - (before?.user ?? 0), system: 0 };
    });
    assert.equal(compiled.exec(text), 'exhausted');
    assert.equal(compiled.test(text), null);
    assert.equal(compiled.exec(text.slice(-400)), null);
  });

  test('says when it gives up, and never that a text does not match which does', () => {
    const compiled = pattern('(.*a){20}$');
    const text = 'a'.repeat(100_000);
    assert.equal(compiled.test(text), null);
    assert.equal(compiled.exec(text), 'exhausted');
    assert.equal(compiled.test('a'.repeat(100)), true);
    assert.equal(pattern('^/api/').test(`/api/${text.repeat(10)}`), true);
  });
});
