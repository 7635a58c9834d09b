import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { openLogs } from '../../src/log/open-logs.ts';
import { sampleAccess, sampleTunnel } from '../support/sample-events.ts';
import { eventually } from '../support/within.ts';

const ROOT = new URL('../..', import.meta.url);

const HOSTILE = '/a\r\n{"level":"error","msg":"forged"}\u001b[2J\0\u2028\u0085\u202eend';

describe('the console as a log', () => {
  it('cannot be made to show a line, or an escape sequence, that a stranger wrote', () => {
    let shown = '';
    const terminal = {
      write(text: string) {
        shown += text;
      },
    };
    const logs = openLogs({ access: ['console'] }, { fd: 1, terminal, colors: false });
    logs.observer({ type: 'access', record: sampleAccess({ path: HOSTILE, ua: HOSTILE }) });
    logs.observer({ type: 'tunnel-opened', tunnel: sampleTunnel({ instance: HOSTILE }), peerVersion: HOSTILE });
    logs.observer({ type: 'connection-refused', remote: 'x', reason: 'hello-invalid', detail: HOSTILE, name: HOSTILE });
    assert.equal(shown.split('\n').length, 4, shown);
    assert.doesNotMatch(shown.replaceAll('\n', ''), /[\p{Cc}\p{Zl}\p{Bidi_Control}]/u);
    assert.match(shown, /GET \/a\\x0d\\x0a\{"level":"error","msg":"forged"\}\\x1b\[2J/);
  });

  it('writes one JSON line an event where no terminal is, whatever strangers wrote, and all of it before it closes', () => {
    const script = `
      import { openLogs } from './src/log/open-logs.ts';
      import { sampleAccess } from './test/support/sample-events.ts';
      const logs = openLogs({ access: ['console'] }, { fd: 1, terminal: null, colors: false });
      for (let i = 0; i < 500; i += 1) {
        logs.observer({ type: 'access', record: sampleAccess({ in: i, path: ${JSON.stringify(HOSTILE)} }) });
      }
      await logs.close();
      process.exit(0);`;
    const { stdout, status, stderr } = run(script);
    assert.equal(status, 0, stderr);
    const lines = stdout.trimEnd().split(/\r\n|[\n\r\u0085\u2028]/);
    assert.equal(lines.length, 500);
    const records = lines.map((line) => JSON.parse(line) as { in: number; path: string });
    assert.deepEqual([records[499]?.in, records[499]?.path], [499, HOSTILE]);
  });

  it('drops what comes after its close, and counts it: work that is just ending has no other place for a word', () => {
    const script = `
      import { openLogs } from './src/log/open-logs.ts';
      const logs = openLogs({}, { fd: 1, terminal: null, colors: false });
      logs.system.info('in time');
      await logs.close();
      logs.system.error('too late');
      process.stdout.write(String(logs.dropped));`;
    const { stdout, status, stderr } = run(script);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /"msg":"in time"\}\n1$/);
  });

  it('writes what it holds when the process is about to crash', () => {
    const script = `
      import { openLogs } from './src/log/open-logs.ts';
      const logs = openLogs({}, { fd: 1, terminal: null, colors: false });
      logs.system.fatal('last words');
      logs.flushSync();
      process.exit(70);`;
    const { stdout, status } = run(script);
    assert.equal(status, 70);
    assert.match(stdout, /"msg":"last words"/);
  });

  it('holds no more than its bound for a reader that does not read, and says how many lines it dropped', async () => {
    const script = `
      import { openLogs } from './src/log/open-logs.ts';
      import { sampleAccess } from './test/support/sample-events.ts';
      const logs = openLogs({ access: ['console'] }, { fd: 1, terminal: null, colors: false });
      const record = sampleAccess({ path: 'x'.repeat(4_000) });
      for (let i = 0; i < 8_000; i += 1) {
        logs.observer({ type: 'access', record });
        if (i % 100 === 0) await new Promise(setImmediate);
      }
      process.stderr.write('all given\\n');
      process.stdin.once('data', () => logs.close().then(() => process.exit(0)));`;
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], { cwd: ROOT });
    try {
      await once(child.stderr, 'data');
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      await eventually('it is said', () => /takes lines again/.test(text));
      child.stdin.end('end');
      await once(child, 'close');
      const lines = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { path?: string; dropped?: number });
      const written = lines.filter(({ path }) => path !== undefined).length;
      const dropped = lines.reduce((sum, line) => sum + (line.dropped ?? 0), 0);
      assert.equal(written + dropped, 8_000);
      assert.ok(dropped > 1_000 && written > 1_000, `${written} written, ${dropped} dropped`);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

function run(script: string) {
  return spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 60_000,
  });
}
