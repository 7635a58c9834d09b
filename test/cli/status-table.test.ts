import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProgramSummary } from '../../src/cli/program-summary.ts';
import { type DomainRow, type StatusReport, statusTable } from '../../src/cli/status-table.ts';

const NOW = Date.UTC(2026, 0, 2);
const DAY_MS = 86_400_000;

const SUMMARY: ProgramSummary = {
  kind: 'agent',
  name: 'home',
  version: '1.2.3',
  startedAt: NOW - 3 * DAY_MS,
  draining: false,
  domains: 1,
  inactive: 0,
  served: 1,
  tunnels: 1,
  active: 0,
  memory: { heldBytes: 0, budgetBytes: 100 },
  config: { generation: 1, appliedAt: NOW, lastReloadOk: true },
  certificates: [],
};

function table(given: Partial<StatusReport>, rows = Number.POSITIVE_INFINITY): string {
  return statusTable(
    { summary: SUMMARY, domains: [], inactive: [], tunnels: [], ...given },
    { now: NOW, colors: false, rows },
  );
}

/** The lines that want attention, for a summary that differs so. */
function warnings(differing: Partial<ProgramSummary>): string[] {
  return table({ summary: { ...SUMMARY, ...differing } })
    .split('\n')
    .filter((line) => line.startsWith('! '));
}

describe('the table of `backdial status`', () => {
  it('says what needs attention, and nothing where nothing does', () => {
    assert.deepEqual(warnings({ certificates: [{ hosts: 'far', notAfter: NOW + 15 * DAY_MS }] }), []);
    assert.deepEqual(warnings({ config: { ...SUMMARY.config, lastReloadOk: false } }), [
      '! the configuration is invalid: what was in force before stays (see the log)',
    ]);
    const certificates = [
      { hosts: 'soon', notAfter: NOW + 3 * DAY_MS },
      { hosts: 'over\u001b[2J', notAfter: NOW - 1 },
    ];
    assert.deepEqual(warnings({ certificates }), [
      '! the certificate for soon ends in 3 d',
      '! the certificate for over\\x1b[2J has ended',
    ]);
    assert.deepEqual(warnings({ memory: { heldBytes: 51, budgetBytes: 100 } }), [
      '! readers that do not read hold 51 % of `memory`',
    ]);
  });

  it("shows what is wrong with an agent's domain: the first failure of its links, else how many are there", () => {
    const link = {
      server: 'vps.test:443',
      address: '192.0.2.1:443',
      slot: 0,
      state: 'dialling',
      failure: null,
    } as const;
    const rowOf = (...links: { state?: string; failure?: string }[]) => {
      const domain = { name: 'www.test', instance: 'one', links: links.map((each) => ({ ...link, ...each })) };
      return /^www\.test .*$/m.exec(table({ domains: [domain as unknown as DomainRow] }))?.[0];
    };
    assert.match(rowOf({ state: 'live' }, { failure: 'secret-wrong' }) ?? '', / 1 of 2 .* secret-wrong$/);
    assert.match(rowOf({ state: 'live' }, {}) ?? '', / 1 of 2 .* dialling$/);
    assert.match(rowOf({ state: 'live' }, { state: 'live' }) ?? '', / 2 of 2 .* up$/);
    assert.match(rowOf() ?? '', / 0 of 0 .* dialling$/);
  });

  it('names inactive domains behind the others, and says what to do where there are no others', () => {
    const inactive = Array.from({ length: 10_000 }, (_, index) => `off${index}.test`);
    const some = table({ summary: { ...SUMMARY, inactive: 2 }, inactive: inactive.slice(0, 2) });
    assert.match(some, /; domains served: 1 of 1 \(and 2 inactive\), tunnels: 1,/);
    assert.match(some, /^off0\.test +- +- +- +inactive\noff1\.test +- +- +- +inactive$/m);
    assert.doesNotMatch(some, /^! /m);
    const none = table({ summary: { ...SUMMARY, domains: 0, served: 0, inactive: inactive.length }, inactive }, 20);
    assert.match(none, /^! no domain is active: say `active: true` in the file of one$/m);
    assert.match(none, /^off19\.test .*\n\.\.\. and 9980 more \(--json has them all\)$/m);
  });

  it('lets no cell move the cursor or make a row', () => {
    const tunnel = {
      id: 't1',
      domain: 'www.test',
      instance: 'one\u001b[2J\nforged',
      slot: 0,
      remote: '192.0.2.1:1',
      openedAt: NOW,
      rttMs: 1,
      streams: 0,
      heldBytes: 0,
      receivedBytes: 0,
      sentBytes: 0,
    };
    const text = table({ tunnels: [tunnel] });
    assert.match(text, /^t1 +www\.test +one\\x1b\[2J\\x0aforged\/0 /m);
    assert.ok(!text.includes('\u001b'));
  });

  it('has sizes of three digits at most', () => {
    const bytes = { heldBytes: 1_023_500, receivedBytes: 1_000, sentBytes: 1_023_400 };
    const row = { id: 't1', domain: 'www.test', instance: 'one', slot: 0, remote: '192.0.2.1:1', openedAt: NOW };
    assert.match(table({ tunnels: [{ ...row, rttMs: 1, streams: 0, ...bytes }] }), /1\.0 kB +999 kB +1\.0 MB$/m);
  });

  it('counts the rows that it has no room for', () => {
    const domains = Array.from({ length: 9 }, (_, i) => ({
      name: `d${i}.test`,
      instances: [],
      active: {},
      hasTarget: false,
    }));
    const text = table({ domains }, 4);
    assert.match(text, /^d3\.test +- +0 +- +nobody serves it\n\.\.\. and 5 more \(--json has them all\)$/m);
    assert.doesNotMatch(text, /d4\.test/);
    assert.match(text, /\(none\)\n$/);
  });
});
