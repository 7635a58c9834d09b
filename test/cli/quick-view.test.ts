import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createQuickView } from '../../src/cli/quick-view.ts';
import type { BackdialEvent } from '../../src/core/events.ts';
import type { LogLevel } from '../../src/log/levels.ts';
import { sampleAccess, sampleTunnel } from '../support/sample-events.ts';

/** What the view shows of some events at a width, without the time of day. */
function shown(columns: number, events: readonly BackdialEvent[], colors = false, level: LogLevel = 'info'): string[] {
  let text = '';
  const write = (part: string) => {
    text += part;
  };
  const view = createQuickView({ write, columns: () => columns, colors, level });
  for (const event of events) view.observer(event);
  const lines = text.split('\n');
  assert.equal(lines.pop(), '');
  return lines;
}

const withoutTime = (lines: readonly string[]) => lines.map((line) => line.replace(/^\d\d:\d\d:\d\d /, ''));
const opened: BackdialEvent = { type: 'tunnel-opened', tunnel: sampleTunnel(), peerVersion: null };
const lost: BackdialEvent = {
  type: 'tunnel-closed',
  tunnel: sampleTunnel(),
  reason: 'lost',
  detail: null,
  lifetimeMs: 1,
};
const failed = (slot: number): BackdialEvent => ({
  type: 'dial-failed',
  server: 'tunnel.test:443',
  address: null,
  domain: 'www.test',
  instance: 'i',
  slot,
  reason: 'server-unreachable',
  detail: 'connect ECONNREFUSED 192.0.2.1:443',
  attempt: 2,
  retryInMs: 740,
});

describe('what a terminal shows', () => {
  it('is method, path, status and time of each request', () => {
    const [line] = withoutTime(shown(80, [{ type: 'access', record: sampleAccess() }]));
    assert.equal(line, 'GET /index.html 200 12 ms 1.2 kB');
  });

  it('is never wider than the terminal; the path gives way, the status stays', () => {
    for (const columns of [40, 60, 80]) {
      const record = sampleAccess({ path: `/${'long/'.repeat(100)}`, status: 502, reason: 'target-lost' });
      const [line = ''] = shown(columns, [{ type: 'access', record }, opened, lost]);
      assert.ok(line.length <= columns, `${line.length} at ${columns}: ${line}`);
      assert.match(line, /… 502 12 ms 1\.2 kB /);
    }
  });

  it('is one line of plain characters, whatever a stranger asked for', () => {
    const record = sampleAccess({ method: 'GET\u001b[2J', path: '/\u001b]0;title\u0007\r\n\u2028' });
    const lines = shown(200, [{ type: 'access', record }]);
    assert.equal(lines.length, 1);
    assert.doesNotMatch(lines.join(''), /[\p{Cc}\p{Zl}]/u);
  });

  it('is the state of the tunnel: attempts while there is none, then that it is up, then that it is lost', () => {
    const lines = withoutTime(shown(200, [failed(0), failed(1), opened, failed(0), lost, failed(0)]));
    assert.deepEqual(lines, [
      'no tunnel to tunnel.test:443: connect ECONNREFUSED 192.0.2.1:443; attempt 2, the next in 740 ms',
      'online: tunnel to 192.0.2.7:51442 is up',
      'offline: the last tunnel ended (lost)',
      'no tunnel to tunnel.test:443: connect ECONNREFUSED 192.0.2.1:443; attempt 2, the next in 740 ms',
    ]);
  });

  it('is one line of a byte stream: from where, how much, how long', () => {
    const record = sampleAccess({
      way: 'tcp',
      method: null,
      path: null,
      status: null,
      in: 20,
      reason: 'visitor-reset',
    });
    const [line] = withoutTime(shown(200, [{ type: 'access', record }]));
    assert.equal(line, 'tcp 203.0.113.7:40000 20 B in, 1.2 kB out 12 ms (visitor-reset)');
  });

  it('is no warning of its own at a silent level', () => {
    const told = (level: LogLevel) => {
      let text = '';
      const write = (part: string): void => {
        text += part;
      };
      createQuickView({ write, columns: () => 80, colors: false, level }).warn('mind this');
      return text;
    };
    assert.deepEqual([told('warn'), told('error')], ['warning: mind this\n', '']);
  });

  it('is what goes wrong alone at a quiet level, and nothing at a silent one', () => {
    const events = [failed(0), opened, { type: 'access', record: sampleAccess() } as const, lost];
    const quiet = withoutTime(shown(200, events, false, 'warn'));
    assert.deepEqual(
      quiet.map((line) => line.slice(0, 9)),
      ['no tunnel', 'offline: '],
    );
    assert.deepEqual(shown(200, events, false, 'error'), []);
    const ports: BackdialEvent[] = [
      { type: 'port-opened', domain: 'www.test', port: 5432, peer: 's:443' } as never,
      { type: 'port-refused', domain: 'www.test', port: 5433, peer: 's:443', detail: 'taken' } as never,
      { type: 'warning', message: 'mind this' } as never,
    ];
    assert.deepEqual(
      withoutTime(shown(200, ports, false, 'warn')).map((line) => line.slice(0, 9)),
      ['port 5433', 'warning: '],
    );
  });

  it('has colours only where they are wanted', () => {
    const bad: BackdialEvent = { type: 'access', record: sampleAccess({ status: 500 }) };
    const red = shown(80, [bad], true).join('').replaceAll('\u001b', 'ESC');
    assert.match(red, /ESC\[31m.*500.*ESC\[0m$/);
    assert.ok(!shown(80, [bad]).join('').includes('\u001b'));
  });
});
