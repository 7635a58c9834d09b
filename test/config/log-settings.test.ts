import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadAgent } from '../../src/config/load-agent.ts';
import { loadServer } from '../../src/config/load-server.ts';
import { formatProblem, type Problem } from '../../src/config/problems.ts';
import { withFolder } from '../support/with-folder.ts';

/** Loads a server's file that has this `log`; gives what became of it, with the folder's name left out. */
function load(log: string, files: Readonly<Record<string, string>> = {}) {
  return withFolder({ 'server.json5': `{ log: ${log} }`, 'domains/a.json5': '{}', ...files }, async (folder) => {
    mkdirSync(`${folder}/logs`);
    symlinkSync('/dev/null', `${folder}/logs/null`);
    const result = await loadServer(`${folder}/server.json5`);
    const plain = (value: unknown) => JSON.parse(JSON.stringify(value).replaceAll(folder, '/F')) as unknown;
    return {
      log: result.ok ? (plain(result.config.log) as Record<string, unknown>) : null,
      problems: result.ok ? [] : (plain(result.problems.map(formatProblem)) as string[]),
    };
  });
}

describe('the destinations of a log', () => {
  it('become settings, each with its defaults', async () => {
    const { log, problems } = await load(`{
      system: ["console", { syslog: "unix:/dev/log" }, { syslog: "udp://[::1]", facility: "local7", name: "edge" }],
      access: [
        { file: "logs/a.log" },
        { file: "logs/a-%Y%m%d.log", rotate: "100MB", keep: 0, gzip: false },
        { file: "logs/../b.log", rotate: ["daily", "1k"], keep: 3 },
        { syslog: "tcp://logs.example.com" },
        { syslog: "tcp://127.0.0.1:6514" },
      ] }`);
    assert.deepEqual(problems, []);
    const syslog = { facility: 'daemon', name: 'backdial' };
    assert.deepEqual(log, {
      level: 'info',
      disconnected: false,
      system: [
        'console',
        { syslog: { protocol: 'unix', path: '/dev/log' }, ...syslog },
        { syslog: { protocol: 'udp', host: '::1', port: 514 }, facility: 'local7', name: 'edge' },
      ],
      access: [
        { file: '/F/logs/a.log', daily: false, maxBytes: 0, keep: 7, gzip: true },
        { file: '/F/logs/a-%Y%m%d.log', daily: false, maxBytes: 104_857_600, keep: 0, gzip: false },
        { file: '/F/b.log', daily: true, maxBytes: 1_000, keep: 3, gzip: true },
        { syslog: { protocol: 'tcp', host: 'logs.example.com', port: 601 }, ...syslog },
        { syslog: { protocol: 'tcp', host: '127.0.0.1', port: 6514 }, ...syslog },
      ],
    });
  });

  it('may be one, none, or left out', async () => {
    const one = await load('{ system: { file: "logs/a.log", rotate: null }, access: "console" }');
    assert.deepEqual(one.log?.access, ['console']);
    assert.deepEqual(one.log?.system, [{ file: '/F/logs/a.log', daily: false, maxBytes: 0, keep: 7, gzip: true }]);
    assert.deepEqual((await load('{ system: null, access: [] }')).log?.system, []);
    assert.deepEqual((await load('{}')).log?.system, ['console']);
    assert.deepEqual((await load('null')).log?.system, ['console']);
  });

  it('may be one file for both logs', async () => {
    const file = '{ file: "logs/a.log", rotate: "daily" }';
    assert.deepEqual((await load(`{ system: ${file}, access: ${file} }`)).problems, []);
  });

  const allowed = 'allowed: "console", { file: "..." }, { syslog: "..." }, a list of these, or null for nowhere';
  const pattern = 'allowed: a path; its last part may hold %Y, %Y%m, %Y%m%d or %Y%m%d%H in any order';
  const receiver = 'allowed: "udp://host:514", "tcp://host:601" or "unix:/path" of a stream socket';
  const wrong: readonly (readonly [log: string, problem: string])[] = [
    ['{ access: ["syslog"] }', `1:19: log.access[0]: found "syslog"; ${allowed}`],
    ['{ access: 5 }', `1:18: log.access: found 5; ${allowed}`],
    ['{ system: {} }', `1:18: log.system: found an object; ${allowed}`],
    ['{ access: [null] }', `1:19: log.access[0]: found null; ${allowed}`],
    ['{ access: { file: "" } }', `1:26: log.access.file: found ""; ${pattern}`],
    ['{ access: { file: "logs/%s.log" } }', `1:26: log.access.file: found "logs/%s.log"; ${pattern}`],
    ['{ access: { file: "logs/%d.log" } }', `1:26: log.access.file: found "logs/%d.log"; ${pattern}`],
    ['{ access: { file: "%Y/a.log" } }', `1:26: log.access.file: found "%Y/a.log"; ${pattern}`],
    ['{ access: { file: 5, rotate: "weekly" } }', `1:26: log.access.file: found 5; ${pattern}`],
    [
      '{ access: { file: "logs/a", rotate: "weekly" } }',
      '1:44: log.access.rotate: found "weekly"; allowed: "daily", a size from 1k such as "100MB", or null',
    ],
    [
      '{ access: { file: "logs/a", rotate: ["daily", "10"] } }',
      '1:54: log.access.rotate[1]: found "10"; allowed: "daily", a size from 1k such as "100MB", or null',
    ],
    [
      '{ access: { file: "logs/a", keep: -1 } }',
      '1:42: log.access.keep: found -1; allowed: a whole number from 0 to 100000',
    ],
    ['{ access: { file: "logs/a", gzip: 1 } }', '1:42: log.access.gzip: found 1; allowed: true or false'],
    [
      '{ access: { file: "logs/a", rotated: "daily" } }',
      '1:36: log.access.rotated: unknown key; did you mean `rotate`?; allowed: file, rotate, keep, gzip',
    ],
    ['{ access: { file: "none/a.log" } }', '1:26: log.access.file: the folder /F/none does not exist'],
    ['{ access: { file: "server.json5/a.log" } }', '1:26: log.access.file: /F/server.json5 is no folder'],
    ['{ access: { file: "logs" } }', '1:26: log.access.file: /F/logs is a folder'],
    ['{ access: { file: "logs/null" } }', '1:26: log.access.file: /F/logs/null is not a regular file'],
    ['{ access: { syslog: "/dev/log" } }', `1:28: log.access.syslog: found "/dev/log"; ${receiver}`],
    ['{ access: { syslog: "udp://" } }', `1:28: log.access.syslog: found "udp://"; ${receiver}`],
    ['{ access: { syslog: "tls://h:6514" } }', `1:28: log.access.syslog: found "tls://h:6514"; ${receiver}`],
    ['{ access: { syslog: "tcp://h:0" } }', `1:28: log.access.syslog: found "tcp://h:0"; ${receiver}`],
    ['{ access: { syslog: "unix:" } }', `1:28: log.access.syslog: found "unix:"; ${receiver}`],
    [
      '{ access: { syslog: "udp://h", name: "a b" } }',
      '1:45: log.access.name: found "a b"; allowed: 1 to 48 characters of printable ASCII without space',
    ],
    [
      '{ access: { syslog: "udp://h", level: "info" } }',
      '1:39: log.access.level: unknown key; allowed: syslog, facility, name',
    ],
    [
      '{ access: { file: "logs/a", syslog: "udp://h" } }',
      '1:20: log.access.file: unknown key; allowed: syslog, facility, name',
    ],
    [
      '{ system: { file: "logs/a" }, access: { file: "logs/a", keep: 1 } }',
      '1:46: log.access: /F/logs/a is there twice, with other settings',
    ],
  ];
  it('are no problem but a warning where they broke while they were in force, and nowhere else', async () => {
    const log = '{ system: { file: "gone/s.log" }, access: { file: "none/a.log" } }';
    await withFolder({ 'server.json5': `{ log: ${log} }`, 'domains/a.json5': '{}' }, async (folder) => {
      const loadWith = async (logFiles: readonly string[]) => {
        const result = await loadServer(`${folder}/server.json5`, {
          logFiles: logFiles.map((name) => join(folder, name)),
        });
        const plain = (found: readonly Problem[]) =>
          found.filter(({ key }) => key !== 'domains').map((each) => formatProblem(each).replaceAll(folder, '/F'));
        return { warnings: plain(result.warnings), problems: result.ok ? null : plain(result.problems) };
      };
      const gone = 'log.system.file: the folder /F/gone does not exist';
      const none = 'log.access.file: the folder /F/none does not exist';
      const place = '/F/server.json5:1';
      const before = await loadWith(['gone/s.log', 'none/b.log']);
      assert.deepEqual(before.problems, [`${place}:58: ${none}`]);
      const { problems, warnings } = await loadWith(['gone/s.log', 'none/a.log']);
      assert.equal(problems, null);
      assert.match(warnings[0] ?? '', /until that is mended its lines wait in memory, .*, and the rest of the conf/);
      assert.deepEqual(
        warnings.map((warning) => warning.split(';')[0]),
        [`${place}:26: ${gone}`, `${place}:58: ${none}`],
      );
      assert.ok((await loadWith([])).problems?.length === 2);
    });
  });

  for (const [log, problem] of wrong) {
    it(`are refused with their place: ${log}`, async () => {
      const { problems } = await load(log);
      assert.equal(problems[0], `/F/server.json5:${problem}`);
    });
  }

  it('are refused where this user may not write', {
    skip: process.getuid?.() === 0 && 'root may write anywhere',
  }, async () => {
    const files = { 'server.json5': '{ log: { access: { file: "no/a" } } }', 'domains/a.json5': '{}' };
    await withFolder(files, async (folder) => {
      mkdirSync(`${folder}/no`);
      chmodSync(`${folder}/no`, 0o500);
      const result = await loadServer(`${folder}/server.json5`);
      assert.match(result.ok ? '' : String(result.problems[0]?.message), /may not be written by this user/);
    });
  });

  it('are the same for an agent', () =>
    withFolder(
      { 'agent.json5': '{ log: { access: { file: "a.log" }, disconnected: true } }', 'domains/a.json5': '{}' },
      async (folder) => {
        const result = await loadAgent(`${folder}/agent.json5`);
        assert.deepEqual(result.ok ? [] : result.problems.map(({ key, message }) => `${key}: ${message}`), [
          'log.disconnected: unknown key; allowed: level, system, access',
        ]);
      },
    ));
});
