import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { AccessRecord } from '../../src/core/events.ts';
import { logFile } from '../support/log-files.ts';
import { openKept, syslog } from '../support/log-options.ts';
import { sampleAccess, sampleTunnel } from '../support/sample-events.ts';
import { datagramReceiver, streamReceiver } from '../support/syslog-receiver.ts';
import { withFolder } from '../support/with-folder.ts';

/** What a terminal or a reader of lines could take for more than a character. */
const ACTIVE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\ufeff]/u;

/** Whatever somewhere ends a line, a frame or a string, or acts on a terminal, and the beginnings of what could be forged. */
const ATOMS = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  '\u001b[2J\u001b]0;x\u0007',
  '\u009b31m',
  '\u0085',
  '\u2028',
  '\u2029',
  '\u202e',
  '\u200f',
  '\ufeff',
  '\ud800',
  '\udfff',
  '🕸',
  'é',
  '"',
  '\\',
  '\\n',
  '"}',
  '{"level":"error","time":1,"msg":"forged"}',
  '<0>1 2024-01-01T00:00:00Z h a 1 m - forged',
  '12 <0>1 - - - - - -',
  '%Y%s',
  '\u007f',
];

const hostile = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .array(fc.oneof(fc.constantFrom(...ATOMS), fc.string({ unit: 'binary' })))
      .map((parts) => parts.join('')),
  },
  { weight: 1, arbitrary: fc.constantFrom(...ATOMS).map((atom) => `/${atom.repeat(Math.ceil(10_240 / atom.length))}`) },
);

const hostileRecord = fc.record({
  path: hostile,
  method: hostile,
  ua: hostile,
  referer: hostile,
  domain: hostile,
  remote: hostile,
});

describe('text of strangers', () => {
  it('neither breaks nor forges a line on any destination, and machines read it as it was', () =>
    withFolder({}, async (folder) => {
      const path = join(folder, 'socket');
      const file = join(folder, 'a.log');
      const tcp = await streamReceiver({ port: 0 });
      const unix = await streamReceiver({ path });
      const udp = await datagramReceiver();
      const host = '127.0.0.1';
      const logs = openKept({
        access: [
          'console',
          logFile(file),
          syslog({ protocol: 'tcp', host, port: tcp.port }),
          syslog({ protocol: 'udp', host, port: udp.port }),
          syslog({ protocol: 'unix', path }),
        ],
      });
      const given: AccessRecord[] = [];
      try {
        await fc.assert(
          fc.asyncProperty(fc.array(hostileRecord, { minLength: 1, maxLength: 5 }), async (changes) => {
            const records = changes.map((each) => sampleAccess({ ...each, in: given.length }));
            for (const record of records) logs.observer({ type: 'access', record });
            given.push(...records);
            for (const receiver of [tcp, unix, udp]) await receiver.got(given.length);
          }),
          { numRuns: 60 },
        );
        await logs.close();
        const text = readFileSync(file, 'utf8');
        const lines = text.split(/\r\n|[\n\r\v\f\u0085\u2028\u2029]/);
        assert.equal(lines.pop(), '');
        assert.equal(lines.length, given.length);
        for (const [index, line] of lines.entries()) {
          assert.doesNotMatch(line, ACTIVE);
          const { path, method, ua, referer, domain, remote } = given[index] ?? assert.fail();
          const read = JSON.parse(line) as Record<string, unknown>;
          assert.partialDeepStrictEqual(read, {
            path,
            method,
            ua,
            referer,
            domain,
            remote,
            level: 'info',
            status: 200,
          });
        }
        // The parser of messages takes nothing but printable ASCII.
        for (const receiver of [tcp, unix, udp]) {
          const records = receiver.records();
          assert.equal(records.length, given.length);
          for (const [index, record] of records.entries()) {
            const { path } = given[index] ?? assert.fail();
            const [start = ''] = String(record.path).split('...[shortened]');
            assert.ok(start === path || (start.length > 100 && path?.startsWith(start)), JSON.stringify(record.path));
            assert.equal(record.level, 'info');
          }
        }
        const shown = logs.shown().split('\n');
        assert.equal(shown.pop(), '');
        assert.equal(shown.length, given.length);
        for (const line of shown) assert.doesNotMatch(line, ACTIVE);
      } finally {
        await logs.close();
        await Promise.all([tcp, unix, udp].map((receiver) => receiver.close()));
      }
    }));

  it('does not in the system log either', () =>
    withFolder({}, async (folder) => {
      const file = join(folder, 's.log');
      const tcp = await streamReceiver({ port: 0 });
      const logs = openKept({
        system: [logFile(file), syslog({ protocol: 'tcp', host: '127.0.0.1', port: tcp.port })],
      });
      let count = 0;
      try {
        await fc.assert(
          fc.asyncProperty(hostile, async (text) => {
            logs.observer({ type: 'tunnel-opened', tunnel: sampleTunnel({ instance: text }), peerVersion: text });
            logs.observer({
              type: 'connection-refused',
              remote: text,
              reason: 'hello-invalid',
              detail: text,
              name: text,
            });
            logs.observer({ type: 'warning', code: text, message: text });
            count += 3;
            await tcp.got(count);
          }),
          { numRuns: 60 },
        );
        await logs.close();
        const lines = readFileSync(file, 'utf8').split(/\r\n|[\n\r\v\f\u0085\u2028\u2029]/);
        assert.equal(lines.length - 1, count);
        for (const line of lines.slice(0, -1)) {
          assert.doesNotMatch(line, ACTIVE);
          assert.ok('level' in (JSON.parse(line) as object));
        }
        assert.equal(tcp.records().length, count);
      } finally {
        await logs.close();
        await tcp.close();
      }
    }));
});
