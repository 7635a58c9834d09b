import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { SyslogAddress } from '../../src/core/log-destination.ts';
import { Pump } from '../../src/log/pump.ts';
import { StreamSink } from '../../src/log/stream-sink.ts';
import { syslogFormat } from '../../src/log/syslog-message.ts';
import { keepReports } from '../support/log-files.ts';
import { openKept, syslog } from '../support/log-options.ts';
import { sampleAccess } from '../support/sample-events.ts';
import { datagramReceiver, parseSyslog, type Receiver, streamReceiver } from '../support/syslog-receiver.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually } from '../support/within.ts';

/** Runs `action` with a receiver of each kind, and closes it. */
async function withReceiver(
  kind: 'udp' | 'udp6' | 'tcp' | 'unix',
  action: (receiver: Receiver, address: SyslogAddress) => Promise<void>,
): Promise<void> {
  await withFolder({}, async (folder) => {
    const path = join(folder, 'log');
    const open = {
      udp: () => datagramReceiver(),
      udp6: () => datagramReceiver(0, 'udp6'),
      tcp: () => streamReceiver({ port: 0 }),
      unix: () => streamReceiver({ path }),
    };
    const receiver = await open[kind]();
    const host = kind === 'udp6' ? '::1' : 'localhost';
    const protocol = kind === 'tcp' ? 'tcp' : 'udp';
    const address = kind === 'unix' ? { protocol: kind, path } : ({ protocol, host, port: receiver.port } as const);
    try {
      await action(receiver, address);
    } finally {
      await receiver.close();
    }
  });
}

const numbers = (records: readonly Record<string, unknown>[]) => records.map(({ in: n }) => n as number);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('syslog', () => {
  for (const kind of ['udp', 'tcp', 'unix'] as const) {
    it(`takes every record in order over ${kind}, as RFC 5424 has it`, () =>
      withReceiver(kind, async (receiver, address) => {
        const logs = openKept({ system: [], access: [syslog(address, { facility: 'local3', name: 'edge-1' })] });
        for (let i = 0; i < 1_000; i += 1) logs.observer({ type: 'access', record: sampleAccess({ in: i }) });
        await receiver.got(1_000);
        await logs.close();
        assert.deepEqual(numbers(receiver.records()), upTo(1_000));
        const [message] = receiver.messages();
        assert.ok(Math.abs(Date.parse(message?.timestamp ?? '') - Date.now()) < 60_000);
        const { timestamp: _, msg, ...header } = message ?? assert.fail();
        assert.deepEqual(header, {
          facility: 19,
          severity: 6,
          host: hostname(),
          app: 'edge-1',
          procId: String(process.pid),
          msgId: 'access',
        });
        assert.equal((JSON.parse(msg) as { path: string }).path, '/index.html');
        assert.equal(logs.shown(), '');
      }));
  }

  it('takes over UDP and IPv6', () =>
    withReceiver('udp6', async (receiver, address) => {
      const logs = openKept({ system: [syslog(address)] });
      logs.system.warn('hello');
      await receiver.got(1);
      await logs.close();
    }));

  it('takes both logs on one connection, each under its name and with its level', () =>
    withReceiver('tcp', async (receiver, address) => {
      const logs = openKept({ level: 'trace', system: [syslog(address)], access: [syslog(address)] });
      for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) logs.system[level](level);
      logs.observer({ type: 'access', record: sampleAccess() });
      await receiver.got(7);
      await logs.close();
      assert.deepEqual(
        receiver.messages().map(({ facility, severity, msgId }) => `${facility} ${severity} ${msgId}`),
        [...[7, 7, 6, 4, 3, 2].map((severity) => `3 ${severity} system`), '3 6 access'],
      );
    }));

  it('shortens the long values of a record that receivers would cut, and leaves a record', () => {
    const format = syslogFormat(syslog({ protocol: 'udp', host: 'x', port: 1 }));
    const record = {
      path: `/${'é'.repeat(10_000)}`,
      ua: 'x'.repeat(9_000),
      status: 404,
      referer: null,
      list: ['y'.repeat(9_000)],
    };
    const message = format(`${JSON.stringify(record)}\n`, 30, 'access');
    assert.ok(message.length <= 8_192);
    const short = JSON.parse(parseSyslog(message).msg) as typeof record;
    assert.deepEqual([short.status, short.referer], [404, null]);
    assert.match(short.path, /^\/é+\.\.\.\[shortened\]$/);
    assert.match(short.ua, /^x{100,}\.\.\.\[shortened\]$/);
    const endless = Object.fromEntries(upTo(5_000).map((n) => [`key${n}`, n]));
    assert.ok(parseSyslog(format(`${JSON.stringify(endless)}\n`, 30, 'access')).msg.includes('shortened'));
  });

  it(
    'keeps what it cannot deliver, within bounds; counts the rest; says so once, and again when the receiver is back',
    undisturbed(async () => {
      const first = await streamReceiver({ port: 0 });
      const { port } = first;
      const kept = keepReports();
      const sink = new StreamSink({ host: '127.0.0.1', port }, 'octet-counting');
      const pump = new Pump(sink, { ...kept, maxWaiting: 50_000, retryMs: 20, calmMs: 30 });
      const format = syslogFormat(syslog({ protocol: 'tcp', host: '127.0.0.1', port }));
      let total = 0;
      const write = (count: number) => {
        for (let i = 0; i < count; i += 1, total += 1) pump.write(format(`{"in":${total}}\n`, 30, 'access'));
      };
      write(10);
      await first.got(10);
      await first.close();
      // Its end has to be seen before the next line, or that one is lost: TCP tells no better.
      await new Promise((resolve) => setTimeout(resolve, 20));
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
      write(5_000);
      await eventually('said', () => kept.reports.length > 0);
      assert.match(String(kept.reports[0]?.error?.message), /ECONNREFUSED/);
      const second = await streamReceiver({ port });
      try {
        await eventually('said again', () => kept.reports.length === 2);
        write(10);
        await pump.close();
        await second.got(total - 10 - kept.dropped());
        assert.deepEqual(kept.states(), ['failing', 'working']);
        assert.ok(kept.dropped() > 4_000, `${kept.dropped()} dropped`);
        const arrived = numbers([...first.records(), ...second.records()]);
        assert.equal(arrived.length, total - kept.dropped());
        assert.deepEqual(arrived.slice(0, 300), upTo(300));
        assert.deepEqual(arrived.slice(-10), upTo(total).slice(-10));
      } finally {
        await second.close();
      }
    }),
  );

  it(
    'holds no more than its bound for a receiver that stopped reading, and counts the rest',
    undisturbed(async () => {
      const receiver = await streamReceiver({ port: 0 });
      receiver.pause();
      const kept = keepReports();
      const sink = new StreamSink({ host: '127.0.0.1', port: receiver.port }, 'octet-counting');
      const pump = new Pump(sink, { ...kept, maxWaiting: 200_000, calmMs: 30 });
      const format = syslogFormat(syslog({ protocol: 'tcp', host: '127.0.0.1', port: receiver.port }));
      const total = 20_000;
      try {
        for (let i = 0; i < total; i += 1) {
          pump.write(format(`{"in":${i},"path":"${'x'.repeat(1_000)}"}\n`, 30, 'access'));
          if (i % 100 === 0) await new Promise(setImmediate);
        }
        assert.deepEqual(kept.reports, [], 'nothing failed');
        receiver.resume();
        await eventually('said', () => kept.reports.length === 1);
        await pump.close();
        assert.ok(kept.dropped() > 5_000);
        await receiver.got(total - kept.dropped());
        assert.equal(receiver.records().length, total - kept.dropped());
      } finally {
        await receiver.close();
      }
    }),
  );

  it('tells on the console what fails, although the log goes elsewhere', async () => {
    const receiver = await datagramReceiver();
    const { port } = receiver;
    await receiver.close();
    const logs = openKept({ system: [syslog({ protocol: 'udp', host: '127.0.0.1', port })] });
    try {
      // The first is lost: its refusal is told by the second.
      for (let i = 0; i < 3; i += 1) logs.system.info('hello');
      await eventually('said', () => logs.shown() !== '');
      assert.match(logs.shown(), /ERROR: the log to udp:\/\/127\.0\.0\.1:\d+ fails: .*ECONNREFUSED/);
      assert.doesNotMatch(logs.shown(), /hello/);
    } finally {
      await logs.close();
    }
  });

  it('says of a datagram socket, as /dev/log mostly is, that it cannot be used, and what can', () =>
    withFolder({}, async (folder) => {
      const path = join(folder, 'log');
      // Node cannot make one either.
      const perl =
        'use Socket; socket(S, PF_UNIX, SOCK_DGRAM, 0); bind(S, sockaddr_un($ARGV[0])) or die; $| = 1; print "up"; <STDIN>';
      const daemon = spawn('perl', ['-e', perl, path], { stdio: ['pipe', 'pipe', 'inherit'] });
      const logs = openKept({ access: [syslog({ protocol: 'unix', path })] });
      try {
        await once(daemon.stdout, 'data');
        logs.observer({ type: 'access', record: sampleAccess() });
        await eventually('said', () => logs.shown() !== '');
        assert.match(
          logs.shown(),
          /the log to unix:\S+ fails: it is a datagram socket, as \/dev\/log mostly is, .* Under systemd use "console"/,
        );
      } finally {
        daemon.stdin.end();
        await logs.close();
      }
    }));

  it('reconnects on request', () =>
    withReceiver('unix', async (receiver, address) => {
      const logs = openKept({ system: [syslog(address)] });
      logs.system.info('one');
      await receiver.got(1);
      logs.reopen();
      logs.system.info('two');
      await receiver.got(2);
      await logs.close();
      assert.deepEqual(
        receiver.records().map(({ msg }) => msg),
        ['one', 'two'],
      );
      assert.equal(logs.shown(), '');
    }));

  it('does not hold up the end of the process when the receiver takes nothing', () =>
    withReceiver('tcp', async (receiver, address) => {
      receiver.pause();
      const logs = openKept({ access: [syslog(address)] });
      const record = sampleAccess({ path: 'x'.repeat(5_000) });
      for (let i = 0; i < 3_000; i += 1) logs.observer({ type: 'access', record });
      const began = performance.now();
      await logs.close();
      assert.ok(performance.now() - began < 20_000);
      assert.match(logs.shown(), /was closed before it took every line: \d+ lines were dropped/);
    }));
});
