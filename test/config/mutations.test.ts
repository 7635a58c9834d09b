import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type AgentConfig, loadAgent } from '../../src/config/load-agent.ts';
import { loadServer, type ServerConfig } from '../../src/config/load-server.ts';
import type { Loaded } from '../../src/config/loaded.ts';
import { Secret } from '../../src/core/secret.ts';
import { type ApplyResult, createAgent, createServer } from '../../src/index.ts';
import { testCertificate } from '../support/certificates.ts';
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

/** The text with other values, each of a key that is alone on its line. */
function changed(text: string, settings: readonly string[]): string {
  return settings.reduce((before, setting) => {
    const [key] = setting.split(':');
    const after = before.replace(new RegExp(`^( *)${key}: .*$`, 'm'), `$1${setting},`);
    assert.notEqual(after, before, setting);
    return after;
  }, text);
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

/** What goes over to one configuration after the other. */
interface Follower<Config> {
  apply(config: Config): Promise<ApplyResult>;
  close(): Promise<void>;
}

/** A server without the listeners that are configured: whatever they are, this machine's ports stay as they are. */
function followingServer(): Follower<ServerConfig> {
  const { cert, key } = testCertificate();
  const own = { listen: [{ host: '127.0.0.1', port: 0 }], certificates: [{ hosts: ['*'], cert, key }] };
  const server = createServer({ ...own, domains: [] });
  return {
    apply: ({ options: { redirect: _redirect, proxy: _proxy, domains, ...options } }) =>
      server.apply({ ...options, ...own, domains: domains.map((domain) => ({ ...domain, listen: [] })) }),
    close: () => server.close({ drainMs: 0 }),
  };
}

function followingAgent(): Follower<AgentConfig> {
  const target = { kind: 'tcp', host: '127.0.0.1', port: 1 } as const;
  const agent = createAgent({ domains: [{ name: 'a.test', secret: new Secret('a secret of enough bytes'), target }] });
  return { apply: ({ options }) => agent.apply(options), close: () => agent.close({ drainMs: 0 }) };
}

interface Kind<Config> {
  readonly main: string;
  readonly domain: string;
  /** Other values that are valid, whichever of them are taken. */
  readonly ofMain: readonly string[];
  readonly ofDomain: readonly string[];
  load(file: string): Promise<Loaded<Config>>;
  follow(): Follower<Config>;
}

/** 500 changes of the files of one kind, one after the other: each is refused with places, or goes into force, all of it. */
async function tryAll<Config>({ main, domain, ofMain, ofDomain, load, follow }: Kind<Config>): Promise<void> {
  const bare = (file: string) => readFileSync(file, 'utf8').replaceAll(/^\s*\/\/.*\n/gm, '');
  const mainText = bare(main);
  const domainText = bare(domain)
    .replace('active: false', 'active: true')
    .replace('secret: ""', 'secret: "a secret of enough bytes"');
  const counts = { refused: 0, applied: 0, changes: 0 };
  const running = follow();
  await withFolder({}, async (folder) => {
    const mutations = fc.array(mutation, { maxLength: 3 });
    const values = fc.tuple(fc.subarray([...ofMain]), fc.subarray([...ofDomain]));
    await fc.assert(
      fc.asyncProperty(
        values,
        mutations,
        mutations,
        async ([mainValues, domainValues], mainMutations, domainMutations) => {
          const mainFile = `${folder}/main.json5`;
          const domainFile = `${folder}/domains/www.example.com.json5`;
          const texts = {
            [mainFile]: mutate(changed(mainText, mainValues), mainMutations),
            [domainFile]: mutate(changed(domainText, domainValues), domainMutations),
          };
          await rm(`${folder}/domains`, { recursive: true, force: true });
          await mkdir(`${folder}/domains`);
          for (const [file, text] of Object.entries(texts)) await writeFile(file, text);
          const decoded = Object.fromEntries(Object.keys(texts).map((file) => [file, readFileSync(file, 'utf8')]));
          const result = await load(mainFile);
          judge(result, decoded);
          counts[result.ok ? 'applied' : 'refused'] += 1;
          if (!result.ok) return;
          counts.changes += (await running.apply(result.config)).changes.length;
          // Whatever part of it were not in force yet would be a change now.
          const { changes, failures } = await running.apply(result.config);
          assert.deepEqual([...changes, ...failures], []);
        },
      ),
      { numRuns: 500 },
    );
  }).finally(running.close);
  assert.ok(counts.refused > 100 && counts.applied > 50 && counts.changes > 50, JSON.stringify(counts));
  assert.equal(counts.refused + counts.applied, 500);
}

describe('a configuration that was changed at random goes into force as a whole, or is refused with places', () => {
  it('of a server', () =>
    tryAll({
      main: 'conf/server.json5',
      domain: 'conf/domains/www.example.com.json5',
      ofMain: ['unavailable: 410', 'headersSize: "32kB"', 'name: "other"', 'idleTimeout: "5s"', 'drain: "1s"'],
      ofDomain: ['concurrency: 7', 'balance: "random"', 'forward: "10.0.0.0/8"', 'bodySize: "1MB"', 'banner: "x"'],
      load: loadServer,
      follow: followingServer,
    }));

  it('of an agent', () =>
    tryAll({
      main: 'conf/agent/agent.json5',
      domain: 'conf/agent/domains/www.example.com.json5',
      ofMain: ['connectTimeout: "1s"', 'readTimeout: "1s"', 'memory: "256MB"', 'drain: "1s"', 'level: "debug"'],
      ofDomain: ['concurrency: 7', 'connections: 3', 'path: "^/a"', 'instance: "two"', 'remote: "a.test"'],
      load: loadAgent,
      follow: followingAgent,
    }));
});
