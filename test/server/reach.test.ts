import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { TunnelRegistry } from '../../src/registry/registry.ts';
import { TunnelDialer } from '../../src/server/dialer.ts';
import { DomainTable } from '../../src/server/domain-table.ts';
import type { DomainOptions } from '../../src/server/options.ts';
import { reach } from '../../src/server/reach.ts';
import { resolveDomain } from '../../src/server/resolve-options.ts';
import { createDomainAccess } from '../../src/server/visitor-access.ts';

const SERVER = { maxBodyBytes: 0, transaction: true, unavailableStatus: 404 };
const CONNECTION = {
  raw: {} as Socket,
  name: null,
  remote: '192.0.2.1:1',
  acceptedAt: 0,
  door: '',
  clientAuthorities: null,
  clientSubject: null,
};
const domain = (name: string, more: Partial<DomainOptions> = {}) =>
  resolveDomain({ name, secrets: [], ...more }, SERVER);
const POLICIES = [
  domain('served.test', { target: { host: '127.0.0.1', port: 1 } }),
  domain('unserved.test'),
  domain('forbidden.test', { clients: { networks: [{ address: '10.0.0.0', prefix: 8 }] } }),
];

/** Visits `host`, and counts what is looked up for it. */
function visit(host: string) {
  const counts: Record<string, number> = {};
  const count = (what: string): void => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  class CountingTable extends DomainTable {
    override find(name: string) {
      count('find');
      return super.find(name);
    }
    override absence(name: string) {
      count('absence');
      return super.absence(name);
    }
  }
  class CountingRegistry extends TunnelRegistry {
    override instanceCount(name: string) {
      count('instances');
      return super.instanceCount(name);
    }
  }
  const table = new CountingTable(POLICIES, ['off.test']);
  const dialer = new TunnelDialer({
    domains: () => table,
    registry: new CountingRegistry(),
    backends: { of: () => null },
  });
  const deps = { secrets: { check: async () => false }, limiter: { waitMs: () => 0, fail: () => {} } };
  const { refusal } = reach(
    {
      domains: () => table,
      carriers: dialer,
      access: {
        of(policy) {
          const access = createDomainAccess(policy ?? domain('nobody.test'), deps as never);
          return {
            ...access,
            refusal(remote) {
              count('refusal');
              return access.refusal(remote);
            },
          };
        },
      },
      certificates: () => ({ select: () => -1 }),
    },
    { connection: CONNECTION, remote: CONNECTION.remote },
    host,
  );
  dialer.close();
  return { refusal, counts };
}

test('as much is looked up for a name that is nobody, not active, forbidden or unserved as for one that is reached', () => {
  const seen = ['served.test', 'unserved.test', 'forbidden.test', 'off.test', 'unknown.test'].map(visit);
  assert.deepEqual(
    seen.map(({ refusal }) => refusal),
    [null, 'domain-unserved', 'network-refused', 'domain-inactive', 'domain-unknown'],
  );
  for (const { counts } of seen) assert.deepEqual(counts, { find: 2, absence: 1, refusal: 1, instances: 2 });
});
