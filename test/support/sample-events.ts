import type { AccessRecord, TunnelInfo } from '../../src/core/events.ts';

/** A tunnel as events name it. */
export function sampleTunnel(changes: Partial<TunnelInfo> = {}): TunnelInfo {
  return { id: 't1', domain: 'www.test', instance: 'web-1', slot: 0, remote: '192.0.2.7:51442', node: 'n', ...changes };
}

/** An exchange that went well. */
export function sampleAccess(changes: Partial<AccessRecord> = {}): AccessRecord {
  return {
    start: 1_700_000_000_000,
    domain: 'www.test',
    instance: 'web-1',
    id: '6f1c5dca-0000-4000-8000-000000000000',
    way: 'https',
    method: 'GET',
    path: '/index.html',
    status: 200,
    reason: 'done',
    in: 0,
    out: 1234,
    durationMs: 12.3456,
    remote: '203.0.113.7:40000',
    ua: 'curl/8',
    referer: null,
    ...changes,
  };
}
