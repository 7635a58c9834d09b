import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import type { DialOptions } from '../../src/core/dial.ts';
import type { Exchange } from '../../src/net/exchange.ts';
import { DomainTable } from '../../src/server/domain-table.ts';
import { ProxyRouter, type ProxyRouterOptions } from '../../src/server/proxy-router.ts';
import { resolveServerOptions } from '../../src/server/resolve-options.ts';
import type { Arrival } from '../../src/server/visit.ts';
import { testCertificate } from '../support/certificates.ts';
import { connectedPair } from '../support/connected-pair.ts';
import { within } from '../support/within.ts';

test('of a visitor that is gone when its stream is open the target sees a reset, and is told where it came to', async () => {
  await using visitor = await connectedPair();
  await using target = await connectedPair();
  const { cert, key } = testCertificate();
  const options = resolveServerOptions({
    listen: [{ host: '127.0.0.1', port: 0 }],
    certificates: [{ hosts: ['*'], cert, key }],
    domains: [{ name: 'www.test', secrets: [] }],
  });
  let left = 0;
  const dialled: DialOptions[] = [];
  const router = new ProxyRouter({
    options,
    domains: () => new DomainTable(options.domains),
    access: { of: () => ({ refusal: () => null }) },
    dialer: {
      open: async (_name: string, given: DialOptions) => {
        dialled.push(given);
        return { stream: target.near, instance: null, ended: null, leaving: null };
      },
    },
    streams: {
      tryEnter: () => true,
      leave: () => {
        left += 1;
      },
    },
    users: { logIn: async () => ({ holder: null }) },
  } as unknown as ProxyRouterOptions);
  // It went while the target was dialled, and nobody has been told yet.
  const exchange = { gone: null, responded: true, handler: null, upgrade: () => null } as unknown as Exchange;
  const head = { method: 'CONNECT', host: 'www.test', port: 22 };
  const reset = once(target.far, 'error');
  await router.serve({
    exchange,
    head,
    method: 'CONNECT',
    path: 'www.test:22',
    transaction: 'x',
    start: 0,
    upgradable: true,
    proxy: { head, authorizations: [] },
    connection: { raw: visitor.far, remote: `127.0.0.1:${visitor.near.localPort}` },
  } as unknown as Arrival);
  assert.equal((await within('a reset', reset))[0].code, 'ECONNRESET');
  assert.equal(dialled[0]?.arrivedAt?.(), `127.0.0.1:${visitor.far.localPort}`);
  assert.equal(left, 1);
});
