import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { VERSION } from '../../src/core/version.ts';
import { runCli } from '../support/run-cli.ts';
import { missingTools } from '../support/tools.ts';

/** Says on standard error which packages are imported. */
const WATCH = `
  import { registerHooks } from 'node:module';
  registerHooks({ resolve(specifier, context, next) {
    const found = next(specifier, context);
    const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(found.url)?.[1];
    if (name) process.stderr.write('package ' + name + '\\n');
    return found;
  } });`;

const names = COMMANDS.map(({ command }) => command.split(' ')[0] ?? '');

describe('help', () => {
  it('shows every command and the exit codes, no wider than the usual terminal', async () => {
    const { code, stdout, stderr } = await runCli(['--help']);
    assert.equal(code, 0);
    assert.equal(stderr, '');
    for (const name of names) assert.match(stdout, new RegExp(`^  backdial ${name}\\b`, 'm'));
    assert.match(stdout, /Exit codes: 0 done/);
    for (const line of stdout.split('\n')) assert.ok(line.length <= 100, line);
  });

  it('of the program as a whole says what the parser of arguments would, and does not load it', async () => {
    const nodeFlags = ['--import', `data:text/javascript,${encodeURIComponent(WATCH)}`];
    const words = (text: string) => text.replace(/\s+/g, ' ').trim();
    const parser = await runCli(['--help', '--quiet']);
    for (const flag of ['--help', '-h']) {
      const quick = await runCli([flag], { nodeFlags });
      assert.deepEqual([quick.code, quick.stderr], [0, '']);
      assert.equal(words(quick.stdout), words(parser.stdout));
    }
    assert.deepEqual(await runCli(['--version'], { nodeFlags }), {
      code: 0,
      signal: null,
      stdout: `${VERSION}\n`,
      stderr: '',
    });
  });

  it('loads nothing but the parser of arguments, so that it is quick', async () => {
    const nodeFlags = ['--import', `data:text/javascript,${encodeURIComponent(WATCH)}`];
    for (const args of [
      ['--help', '-q'],
      ['http', '--help'],
      ['server', '--help'],
      ['demo', '--help'],
    ]) {
      const { stderr } = await runCli(args, { nodeFlags });
      const packages = new Set(stderr.match(/(?<=package ).+/g));
      assert.ok(packages.has('yargs'), args.join(' '));
      for (const heavy of ['undici', 'zod', 'pino', 'pino-pretty', '@peculiar/x509']) {
        assert.ok(!packages.has(heavy), `${args.join(' ')} loads ${heavy}`);
      }
    }
  });
});

describe('the version', () => {
  it("is the package's", async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    assert.equal(VERSION, version);
    assert.deepEqual(await runCli(['--version']), { code: 0, signal: null, stdout: `${VERSION}\n`, stderr: '' });
  });
});

describe('completion', () => {
  it('prints a script for the shell that is asked for, or for that of SHELL', async () => {
    assert.match((await runCli(['completion', 'bash'])).stdout, /complete .*-F _backdial backdial/);
    assert.match((await runCli(['completion', 'zsh'])).stdout, /^#compdef backdial/);
    assert.match((await runCli(['completion'], { env: { SHELL: '/usr/bin/zsh' } })).stdout, /^#compdef backdial/);
    assert.equal((await runCli(['completion'], { env: { SHELL: '/usr/bin/fish' } })).code, 2);
  });

  it('completes commands and flags in bash', { skip: missingTools('bash') }, async () => {
    const { stdout } = await runCli(['completion', 'bash']);
    const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
    const complete = (...words: string[]) => {
      const script = `
        backdial() { '${process.execPath}' '${main}' "$@"; }
        ${stdout}
        COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
        _backdial; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return spawnSync('bash', ['-c', script], { encoding: 'utf8' }).stdout.trim().split('\n');
    };
    assert.deepEqual(complete('backdial', 'ser'), ['server']);
    assert.deepEqual(complete('backdial', 'http', '3000', '--sec').sort(), ['--secret', '--secret-file']);
    assert.deepEqual(complete('backdial', 'status', '--c'), ['--config']);
    assert.deepEqual(complete('backdial', 'pki', '-_'), ['']);
  });
});
