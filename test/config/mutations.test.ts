import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { loadAgent } from '../../src/config/load-agent.ts';
import { loadServer } from '../../src/config/load-server.ts';
import type { Loaded } from '../../src/config/loaded.ts';
import { withFolder } from '../support/with-folder.ts';

const ODD = [
  'null',
  '{}',
  '[]',
  '[[]]',
  '-1',
  '1e999',
  'NaN',
  '""',
  '"@"',
  '"@/"',
  '"\\u0000"',
  'true',
  '"unix:"',
  '[null]',
  '{ a: { b: 1 } }',
];
const WORDS = [
  'listen',
  '__proto__',
  'secret',
  'targets',
  'tls',
  'log',
  'hosts',
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '/*',
  '//',
  '\n',
  '\u2028',
];

/** One change of a text: a piece cut out, put in, or a value replaced. */
const mutation = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  cut: fc.nat(12),
  put: fc.oneof(fc.constantFrom(...WORDS, ...ODD), fc.string({ unit: 'binary', maxLength: 6 })),
  value: fc.option(fc.constantFrom(...ODD)),
});

function mutate(
  text: string,
  changes: readonly { at: number; cut: number; put: string; value: string | null }[],
): string {
  let mutated = text;
  for (const { at, cut, put, value } of changes) {
    const index = Math.floor(at * mutated.length);
    const colon = mutated.indexOf(': ', index);
    const end = mutated.indexOf('\n', colon);
    if (value !== null && colon !== -1 && end !== -1)
      mutated = `${mutated.slice(0, colon)}: ${value},${mutated.slice(end)}`;
    else mutated = mutated.slice(0, index) + put + mutated.slice(index + cut);
  }
  return mutated;
}

/** It loads, or every problem has a place in one of its files. */
function judge(result: Loaded<unknown>, texts: Readonly<Record<string, string>>): void {
  if (result.ok) return;
  assert.ok(result.problems.length > 0);
  for (const { file, line, column, message } of result.problems) {
    const text = texts[file] ?? assert.fail(file);
    // A carriage return alone is a line break to Momoa, none to JSON5.
    const isPlace = [/\r\n|\n|\r/, /\n/].some((lineBreak) => {
      const found = text.split(lineBreak)[line - 1];
      return found !== undefined && Number.isInteger(column) && column >= 1 && column <= found.length + 2;
    });
    assert.ok(isPlace, `${file}:${line}:${column}: ${message}`);
    assert.ok(message.length > 5);
  }
}

describe('a configuration that was changed at random', () => {
  const kinds = [
    { main: 'conf/server.json5', domain: 'conf/domains/www.example.com.json5', load: loadServer },
    { main: 'conf/agent/agent.json5', domain: 'conf/agent/domains/www.example.com.json5', load: loadAgent },
  ];
  for (const { main, domain, load } of kinds) {
    it(`${main}: loads, or is refused with places`, async () => {
      const mainText = readFileSync(main, 'utf8').replaceAll(/^\s*\/\/.*\n/gm, '');
      const domainText = readFileSync(domain, 'utf8')
        .replaceAll(/^\s*\/\/.*\n/gm, '')
        .replace('active: false', 'active: true');
      let refused = 0;
      await withFolder({}, async (folder) => {
        const changes = fc.array(mutation, { maxLength: 3 });
        await fc.assert(
          fc.asyncProperty(changes, changes, async (ofMain, ofDomain) => {
            const mainFile = `${folder}/main.json5`;
            const domainFile = `${folder}/domains/www.example.com.json5`;
            const texts = { [mainFile]: mutate(mainText, ofMain), [domainFile]: mutate(domainText, ofDomain) };
            await rm(`${folder}/domains`, { recursive: true, force: true });
            await mkdir(`${folder}/domains`);
            for (const [file, text] of Object.entries(texts)) await writeFile(file, text);
            const decoded = Object.fromEntries(Object.keys(texts).map((file) => [file, readFileSync(file, 'utf8')]));
            const result = await load(mainFile);
            if (!result.ok) refused += 1;
            judge(result, decoded);
          }),
          { numRuns: 500 },
        );
      });
      assert.ok(refused > 100, `only ${refused} were refused`);
    });
  }
});
