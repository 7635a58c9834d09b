import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { describe, it } from 'node:test';
import { assertOneLine, MAIN, runCli } from '../support/run-cli.ts';

describe('exit code 2: wrong usage', () => {
  const wrong: readonly (readonly [args: readonly string[], text: RegExp])[] = [
    [[], /a command is missing. See `backdial --help`/],
    [['-q', '--', 'server'], /a command is missing. See `backdial --help`/],
    [['sevrer'], /no command `sevrer`\. Did you mean `server`\?/],
    [['server', '--confg', 'x'], /unknown argument: confg\. See `backdial server --help`/],
    [['server', '-c'], /not enough arguments following: c/],
    [['http'], /an argument is missing\. See `backdial http --help`/],
    [['http', '3000', '4000'], /unknown argument: 4000/],
    [['http', '3000'], /--server is missing \(or BACKDIAL_SERVER\)/],
    [['check'], /missing required argument: config/],
    [['check', '-c', 'x', '--', 'y'], /too much stands behind --/],
    [
      ['check', '-c', 'x', '--kind', 'agent', '--kind', 'server'],
      /--kind is given twice\. See `backdial check --help`/,
    ],
    [['check', '-c', 'x', '-c', 'y', '--explain', 'a.test'], /--explain takes one file of a server; -c is given twice/],
    [['check', '-c', 'x', 'y'], /unknown argument: y/],
    [['hostname', '--', '-x'], /an argument is missing/],
    [['hostname', 'a.test', '--', 'b.test'], /unknown argument: b\.test/],
    [['completion', 'fish'], /bash/],
    [['demo', '--port', '70000'], /--port must be 0 to 65535/],
  ];
  for (const [args, text] of wrong) {
    it(`is what \`backdial ${args.join(' ')}\` gets, with a hint`, async () => {
      const result = await runCli(args);
      assert.equal(result.code, 2, result.stderr);
      assert.match(result.stderr, text);
      assertOneLine(result);
    });
  }

  it('is not what a full disk behind standard output gets: that is 70, and said', () => {
    for (const args of [['hostname', 'a.test'], ['--version']]) {
      const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
        stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
        encoding: 'utf8',
      });
      assert.equal(status, 70, args.join());
      if (args.length > 1) assert.match(stderr, /^backdial: standard output cannot be written to: ENOSPC.*\n$/);
    }
  });

  it('is not what a flag gets that is there twice: the last one counts', async () => {
    const { code, stderr } = await runCli(['status', '-c', 'missing-first', '-c', 'missing-last']);
    assert.equal(code, 1);
    assert.match(stderr, /missing-last/);
    assert.doesNotMatch(stderr, /missing-first/);
  });
});
