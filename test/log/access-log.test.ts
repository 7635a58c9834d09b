import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AccessRecord } from '../../src/core/events.ts';
import { bytesText, durationText } from '../../src/log/access-line.ts';
import { createAccessLog } from '../../src/log/access-log.ts';
import { keepLines } from '../support/log-destination.ts';
import { sampleAccess } from '../support/sample-events.ts';

describe('the access log', () => {
  it('writes each field of a record under its name, beside level and time', () => {
    const kept = keepLines();
    createAccessLog({ destinations: [kept] }).write(sampleAccess());
    const [{ level, time, ...fields } = {}] = kept.records();
    assert.equal(level, 'info');
    assert.equal(typeof time, 'number');
    assert.deepEqual(fields, {
      start: 1_700_000_000_000,
      domain: 'www.test',
      instance: 'web-1',
      id: '6f1c5dca-0000-4000-8000-000000000000',
      method: 'GET',
      path: '/index.html',
      status: 200,
      reason: 'done',
      in: 0,
      out: 1234,
      duration: 12.346,
      remote: '203.0.113.7:40000',
      ua: 'curl/8',
      referer: null,
      way: 'https',
    });
  });

  it('leaves out requests to domains that nobody serves, unless asked for them', () => {
    for (const reason of ['domain-unknown', 'domain-inactive', 'domain-unserved'] as const) {
      const [without, with_] = [keepLines(), keepLines()];
      createAccessLog({ destinations: [without] }).write(sampleAccess({ reason, status: 404 }));
      createAccessLog({ destinations: [with_], disconnected: true }).write(sampleAccess({ reason, status: 404 }));
      assert.equal(without.lines.length, 0, reason);
      assert.equal(with_.records()[0]?.reason, reason);
    }
  });

  it('makes also the lines that it leaves out: a forbidden domain, which is logged, takes no longer than an unknown one', () => {
    for (const people of [true, false]) {
      const kept = keepLines(people);
      const log = createAccessLog({ destinations: [kept] });
      const [leftOut, written] = (['domain-unknown', 'network-refused'] as const).map((reason) => {
        let reads = 0;
        const get = (record: AccessRecord, key: string | symbol): unknown => {
          reads += 1;
          return Reflect.get(record, key);
        };
        log.write(new Proxy(sampleAccess({ reason, status: 404 }), { get }));
        return reads;
      });
      assert.equal(kept.lines.length, 1);
      assert.equal(leftOut, written);
    }
  });

  it('writes refusals and cuts', () => {
    const kept = keepLines();
    const log = createAccessLog({ destinations: [kept] });
    log.write(sampleAccess({ domain: null, reason: 'request-invalid', status: 400 }));
    log.write(sampleAccess({ reason: 'agent-lost' }));
    assert.deepEqual(
      kept.records().map(({ reason }) => reason),
      ['request-invalid', 'agent-lost'],
    );
  });

  it('gives people one sentence, and machines the record, of the same request', () => {
    const [people, machines] = [keepLines(true), keepLines()];
    createAccessLog({ destinations: [people, machines] }).write(sampleAccess({ reason: 'target-lost' }));
    assert.equal(people.records()[0]?.msg, 'www.test GET /index.html 200 12 ms (target-lost)');
    assert.equal(machines.records()[0]?.path, '/index.html');
  });

  it('gives people one sentence of a byte stream', () => {
    const people = keepLines(true);
    const stream = {
      way: 'tcp',
      method: null,
      path: null,
      status: null,
      in: 1_048_576,
      out: 12,
      durationMs: 65_000,
    } as const;
    createAccessLog({ destinations: [people] }).write(sampleAccess(stream));
    assert.equal(people.records()[0]?.msg, 'www.test tcp 203.0.113.7:40000 1.0 MB in, 12 B out 1 m 5 s');
  });
});

describe('figures for people', () => {
  it('are short and have a unit', () => {
    assert.deepEqual([0, 999, 1_000, 1_587, 101_887, 101_888, 1_023_487, 67_108_864, 1e16].map(bytesText), [
      '0 B',
      '999 B',
      '1.0 kB',
      '1.5 kB',
      '99.5 kB',
      '100 kB',
      '999 kB',
      '64.0 MB',
      '9095 TB',
    ]);
    assert.deepEqual([0.04, 9.9, 12.6, 1_500, 61_000].map(durationText), [
      '0.0 ms',
      '9.9 ms',
      '13 ms',
      '1.5 s',
      '1 m 1 s',
    ]);
  });

  it('are rounded up into the next unit', () => {
    assert.deepEqual([9.96, 999.4, 999.6, 59_940, 59_960, 119_400, 119_600].map(durationText), [
      '10 ms',
      '999 ms',
      '1.0 s',
      '59.9 s',
      '1 m 0 s',
      '1 m 59 s',
      '2 m 0 s',
    ]);
  });
});
