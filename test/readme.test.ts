import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { COMMANDS } from '../src/cli/command-table.ts';
import { AGENT_DOMAIN_KEYS, AGENT_KEYS, TARGET_KEYS, TLS_KEYS, weightedKeys } from '../src/config/agent-keys.ts';
import { apiKeys } from '../src/config/api-settings.ts';
import { SNI_KEYS } from '../src/config/backends.ts';
import { CLIENTS_KEYS } from '../src/config/clients.ts';
import { GRANTS_KEYS, IDENTITY_KEYS } from '../src/config/grants.ts';
import { listenerKeys } from '../src/config/listeners.ts';
import { LOG_FILE_KEYS, syslogKeys } from '../src/config/log-destinations.ts';
import { AGENT_LOG_KEYS, SERVER_LOG_KEYS } from '../src/config/log-settings.ts';
import { proxyKeys } from '../src/config/proxy.ts';
import { CERTIFICATE_KEYS, SERVER_DOMAIN_KEYS, serverKeys } from '../src/config/server-keys.ts';
import { ERRORS } from '../src/core/errors.ts';
import { codeBlock, quoted, readmeSection, readmeText, tableRows } from './support/readme.ts';
import { runCli } from './support/run-cli.ts';

describe('README', () => {
  it('begins with the two commands', () => {
    const lines = readmeText().split('\n').slice(0, 24).join('\n');
    assert.match(lines, /^npm ci && npm run demo$/m);
    assert.match(lines, /^npm cit$/m);
  });

  it('puts a server on a VPS and an agent at home in ten lines each', () => {
    for (const block of ['sh server', 'sh agent']) {
      const lines = codeBlock(block).trim().split('\n').length;
      assert.ok(lines > 3 && lines <= 10, `${block}: ${lines} lines`);
    }
  });

  it('has every configuration key under its heading, and no other', () => {
    const tables = {
      'Keys of `server.json5`': serverKeys('/').schema,
      'Keys of `listen`': listenerKeys('/').schema,
      'Keys of `certificates`': CERTIFICATE_KEYS.schema,
      'Keys of `sni`': SNI_KEYS.schema,
      "Keys of a server's domain file": SERVER_DOMAIN_KEYS.schema,
      'Keys of `clients`': CLIENTS_KEYS.schema,
      'Keys of `proxy`': proxyKeys('/').schema,
      "Keys of `grants` in a domain's file": GRANTS_KEYS.schema,
      "Keys of `grants` in the server's file": IDENTITY_KEYS.schema,
      'Keys of `agent.json5`': AGENT_KEYS.schema,
      "Keys of an agent's domain file": AGENT_DOMAIN_KEYS.schema,
      'Keys of `targets`': TARGET_KEYS.schema,
      'Keys of a target in a list': weightedKeys('/').schema,
      'Keys of `tls`': TLS_KEYS.schema,
      'Keys of `admin` and `api`': apiKeys('/').schema,
      'Keys of `log`': SERVER_LOG_KEYS.schema,
      'Keys of a log file': LOG_FILE_KEYS.schema,
      'Keys of a syslog receiver': syslogKeys('/').schema,
    };
    for (const [heading, { shape }] of Object.entries(tables)) {
      const told = tableRows(readmeSection(heading)).map(([key]) => quoted(key)[0]);
      assert.ok(told.length > 0, heading);
      assert.deepEqual(told.toSorted(), Object.keys(shape).toSorted(), heading);
    }
    for (const key of Object.keys(AGENT_LOG_KEYS.schema.shape)) assert.ok(key in SERVER_LOG_KEYS.schema.shape);
  });

  it('explains every error code with its status, and no other', () => {
    const rows = tableRows(readmeSection('Error codes'));
    const told = rows.map(([code, status]) => [quoted(code)[0], Number(status)]);
    const true_ = Object.entries(ERRORS).map(([code, { status }]) => [code, status]);
    assert.deepEqual(told.map(String).toSorted(), true_.map(String).toSorted());
    for (const [code, , meaning = ''] of rows) assert.ok(meaning.length > 20 && /[.?]$/.test(meaning), `${code}`);
    for (const [code, { exitCode }] of Object.entries(ERRORS)) {
      if (exitCode > 3) continue;
      assert.match(rows.find(([cell]) => cell === `\`${code}\``)?.[2] ?? '', /exit|`backdial hostname`/, code);
    }
  });

  it('has every command, and no other', () => {
    const told = tableRows(readmeSection('Commands')).flatMap(
      ([first]) => /^`backdial (\w+)/.exec(first ?? '')?.[1] ?? [],
    );
    assert.deepEqual(told.toSorted(), COMMANDS.map(({ command }) => command.split(' ')[0]).toSorted());
  });

  it('has every flag that a command shows in its help, and no other', async () => {
    const told = tableRows(readmeSection('Commands')).flatMap(([commands, flag]) => {
      const [name] = quoted(flag);
      return name?.startsWith('--') ? quoted(commands).map((command) => `${command} ${name}`) : [];
    });
    const names = COMMANDS.map(({ command }) => command.split(' ')[0] ?? '').map((name) =>
      name === 'domain' ? 'domain add' : name,
    );
    const real: string[] = [];
    for (const name of names) {
      const { code, stdout } = await runCli([...name.split(' '), '--help']);
      assert.equal(code, 0, name);
      assert.match(stdout, new RegExp(`^backdial ${name}\\b`), name);
      for (const line of stdout.split('\n')) assert.ok(line.length <= 100, line);
      const flags = Array.from(stdout.matchAll(/^ {2}(?:-\w, | {4})--([\w-]+)/gm), ([, flag = '']) => flag);
      assert.ok(flags.includes('help'), name);
      for (const flag of flags)
        if (!['help', 'verbose', 'quiet', 'version'].includes(flag)) real.push(`${name} --${flag}`);
    }
    assert.deepEqual(told.toSorted(), real.toSorted());
  });

  it('names every environment variable of the command line beside its flag', async () => {
    const { stdout } = await runCli(['http', '--help']);
    const real = stdout.replace(/\s+/g, ' ').match(/(?<=\[env )BACKDIAL_\w+/g) ?? [];
    assert.equal(real.length, 6);
    for (const variable of real) assert.ok(readmeSection('Commands').includes(`\`${variable}\``), variable);
  });

  it('has links that lead somewhere', () => {
    const anchors = Array.from(readmeText().matchAll(/^#+ (.+)$/gm), ([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    );
    const links = Array.from(readmeText().matchAll(/\]\(#([^)]+)\)/g), ([, anchor = '']) => anchor);
    assert.ok(links.length > 5);
    for (const link of links) assert.ok(anchors.includes(link), link);
  });
});
