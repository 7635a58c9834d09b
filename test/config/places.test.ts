import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse, type ValueNode } from '@humanwhocodes/momoa';
import fc from 'fast-check';
import JSON5 from 'json5';
import { Findings } from '../../src/config/findings.ts';
import { countKeys, countMembers } from '../../src/config/members.ts';
import { formatProblem } from '../../src/config/problems.ts';
import { parseSource } from '../../src/config/source.ts';

/** Members and distinct keys as Momoa's tree has them. */
function countIn(node: ValueNode): { members: number; keys: number } {
  if (node.type === 'Array') return sum(node.elements.map((element) => countIn(element.value)));
  if (node.type !== 'Object') return { members: 0, keys: 0 };
  const names = node.members.map(({ name }) => (name.type === 'String' ? name.value : name.name));
  const last = node.members.filter((_, i) => names.lastIndexOf(names[i] ?? '') === i);
  return {
    members: node.members.length + sum(node.members.map(({ value }) => countIn(value))).members,
    keys: last.length + sum(last.map(({ value }) => countIn(value))).keys,
  };
}

function sum(counts: readonly { members: number; keys: number }[]): { members: number; keys: number } {
  return counts.reduce((a, b) => ({ members: a.members + b.members, keys: a.keys + b.keys }), { members: 0, keys: 0 });
}

const gap = fc.constantFrom('', ' ', '\n', '\r\n', '/* a: "{ */', '// it\'s: "\n', '/***/', '\t/* // */');
const key = fc.constantFrom(
  'a',
  '"a"',
  "'a'",
  '\\u0061',
  '"\\x61"',
  'b',
  '"b:"',
  "'b\\''",
  '"/*"',
  '"\\\\"',
  '__proto__',
  '"//"',
);
const leaf = fc.constantFrom(
  '1',
  '-0x1F',
  '"a: b"',
  "'\"'",
  '"\\""',
  '"/*"',
  "'a\\\nb: c'",
  'null',
  'Infinity',
  '.5e3',
  '"\\\\"',
);

/** Texts of JSON5 with all that a colon can stand in, and keys that come again. */
const { value: text } = fc.letrec<{ value: string; list: string; object: string; member: string }>((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, leaf, tie('list'), tie('object')),
  list: fc
    .tuple(fc.array(tie('value'), { maxLength: 3 }), gap)
    .map(([items, blank]) => `[${items.join(`,${blank}`)}${blank}]`),
  object: fc
    .tuple(fc.array(tie('member'), { maxLength: 4 }), gap)
    .map(([members, blank]) => `{${blank}${members.join(',')}}`),
  member: fc
    .tuple(gap, key, gap, tie('value'), gap)
    .map(([a, name, b, value, c]) => `${a}${name}${b}:${c}${value}${b}`),
}));

describe('keys that are there twice', () => {
  it('are found by counting exactly where the tree of the text has them', () => {
    let repeated = 0;
    const compare = fc.property(text, (one) => {
      const { members, keys } = countIn(parse(one, { mode: 'json5' }).body);
      assert.equal(countMembers(one), members, 'members');
      assert.equal(countKeys(JSON5.parse(one)), keys, 'keys');
      if (members > keys) repeated += 1;
      const findings = new Findings();
      assert.ok(parseSource('f', one, findings) !== null);
      assert.equal(findings.problems.length > 0, members > keys);
      for (const { message } of findings.problems) assert.match(message, /^the key is there twice, first in line \d+$/);
    });
    fc.assert(compare, { numRuns: 2_000 });
    assert.ok(repeated > 200, `only ${repeated} texts had one`);
  });

  it('are refused also where only one parser sees them', () => {
    const findings = new Findings();
    assert.ok(parseSource('f', '{ a: 1, // \u2028 a: 2\n}', findings) !== null);
    assert.deepEqual(findings.problems.map(formatProblem), ['f:1:1: a key is there twice']);
  });
});

describe('a text that was changed at random', () => {
  it('is taken and refused as by both parsers together, but for what Momoa alone refuses', () => {
    const outcomes = { taken: 0, refused: 0, onlyMomoa: 0 };
    const put = fc.constantFrom(
      ':',
      '"',
      "'",
      '{',
      '}',
      '[',
      ']',
      ',',
      '/*',
      '*/',
      '//',
      '\\',
      '\n',
      '\u2028',
      '5: 1,',
      '+.5',
      'é',
      '\u0000',
    );
    const change = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), cut: fc.nat(2), put });
    const compare = fc.property(text, fc.array(change, { maxLength: 2 }), (one, changes) => {
      let changed = one;
      for (const each of changes) {
        const index = Math.floor(each.at * changed.length);
        changed = changed.slice(0, index) + each.put + changed.slice(index + each.cut);
      }
      const findings = new Findings();
      const source = parseSource('f', changed, findings);
      for (const { line, column } of findings.problems) assert.ok(line >= 1 && column >= 1);
      if (source === null) {
        outcomes.refused += 1;
        assert.equal(findings.problems.length, 1);
        assert.throws(() => void [JSON5.parse(changed), parse(changed, { mode: 'json5' })]);
        return;
      }
      outcomes.taken += 1;
      const { line, column } = source.locate(['a', 0, 'b'], 'key');
      assert.ok(line >= 1 && column >= 1);
      try {
        parse(changed, { mode: 'json5' });
      } catch {
        outcomes.onlyMomoa += 1;
      }
    });
    fc.assert(compare, { numRuns: 2_000 });
    assert.ok(outcomes.taken > 200 && outcomes.refused > 200, JSON.stringify(outcomes));
  });
});
