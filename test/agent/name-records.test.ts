import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { askRecords } from '../../src/agent/name-records.ts';
import { type DnsAnswer, type DnsServer, startDnsServer } from '../support/dns-server.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { within } from '../support/within.ts';

const NEVER = new AbortController().signal;

describe('what the DNS says of a name', () => {
  let dns: DnsServer;
  before(async () => {
    dns = await startDnsServer();
  });
  after(() => dns.close());

  const answers: [a: DnsAnswer, aaaa: DnsAnswer, ttlMs: number | null, unanswered: number[]][] = [
    [['10.0.0.1', '10.0.0.2'], ['2001:db8::1'], 7_000, []],
    [['10.0.0.1'], [], 7_000, []],
    [[], ['::1'], 7_000, []],
    [['10.0.0.1'], 'servfail', 7_000, [6]],
    ['servfail', ['::1'], 7_000, [4]],
    ['servfail', 'servfail', null, [4, 6]],
    ['nxdomain', 'nxdomain', null, []],
  ];
  for (const [a, aaaa, ttlMs, unanswered] of answers) {
    it(`of A ${a} and AAAA ${aaaa} is a TTL of ${ttlMs} ms; unanswered: ${unanswered.join() || 'none'}`, async () => {
      dns.names.set('www.test', { a, aaaa, ttl: 7 });
      const records = await within('the records', askRecords('www.test', NEVER, [dns.address]));
      assert.deepEqual(records, { ttlMs, unanswered: new Set(unanswered) });
    });
  }

  it(
    'is not waited for any longer than anybody wants to know',
    undisturbed(async () => {
      dns.names.set('www.test', { a: 'silent', aaaa: 'silent', ttl: 7 });
      const abort = new AbortController();
      setImmediate(() => abort.abort());
      const records = await within('the records', askRecords('www.test', abort.signal, [dns.address]), 1_500);
      assert.deepEqual([records.ttlMs, [...records.unanswered]], [null, [4, 6]]);
    }),
  );
});
