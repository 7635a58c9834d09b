import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientHello } from '../../src/net/client-hello.ts';
import type { Certificates } from '../../src/server/certificates.ts';
import { DomainTable } from '../../src/server/domain-table.ts';
import { HelloRouter } from '../../src/server/hello-route.ts';
import type { HostFolder } from '../../src/server/hosts-folder.ts';
import { resolveDomain } from '../../src/server/resolve-options.ts';

const NAME = 'secret.example.com';
const OWN = { path: 'own' } as HostFolder;
const FALLBACK = { path: 'fallback' } as HostFolder;

interface Given {
  /** What the hosts folder has. */
  readonly own?: HostFolder | null;
  readonly fallback?: HostFolder | null;
  /** Indexes of the entries of `certificates` for this very name and for every name. */
  readonly exact?: number;
  readonly any?: number;
  readonly forbidden?: boolean;
  readonly served?: boolean;
}

/** Where a hello for a name leads: of a domain whose TLS passes, or of nobody's. */
function routeOf(isDomain: boolean, given: Given): object {
  const { own = null, fallback = null, exact = -1, any = -1, forbidden = false, served = true } = given;
  const defaults = { maxBodyBytes: 0, transaction: true, unavailableStatus: 404 };
  const domain = resolveDomain({ name: NAME, secrets: [], tls: 'passthrough' }, defaults);
  const table = new DomainTable(isDomain ? [domain] : []);
  const certificates = { select: (name: string | null) => (name === null || exact === -1 ? any : exact) };
  const router = new HelloRouter({
    domains: () => table,
    access: { of: () => ({ refusal: () => (forbidden ? 'network-refused' : null) }) },
    serves: () => served,
    hosts: { find: () => own, fallback: () => fallback },
  });
  const hello = { serverName: NAME } as ClientHello;
  return router.route(hello, '192.0.2.1:1', certificates as unknown as Certificates);
}

test('who may not know of a domain finds what a name of nobody leads to', () => {
  for (const elsewhere of [{ fallback: FALLBACK }, { fallback: FALLBACK, any: 3 }, { exact: 2, any: 3 }, { any: 3 }]) {
    assert.deepEqual(routeOf(true, { ...elsewhere, forbidden: true }), routeOf(false, elsewhere));
  }
  assert.deepEqual(routeOf(true, { forbidden: true, fallback: FALLBACK }), {
    kind: 'host',
    name: NAME,
    host: FALLBACK,
  });
  assert.deepEqual(routeOf(true, { forbidden: true, any: 3 }), { kind: 'terminate', name: NAME, certificate: 3 });
});

test('who may not know of a domain never finds a backend of this very name', () => {
  for (const more of [{}, { exact: 2 }, { any: 3, fallback: FALLBACK }]) {
    const { kind } = routeOf(true, { ...more, own: OWN, forbidden: true }) as { kind: string };
    assert.equal(kind, 'hide');
  }
});

test('a domain that nobody serves is hidden, whatever else there is, and one that is served passes', () => {
  for (const more of [{}, { fallback: FALLBACK }, { any: 3 }]) {
    const { kind } = routeOf(true, { ...more, served: false }) as { kind: string };
    assert.equal(kind, 'hide');
    assert.equal((routeOf(true, more) as { kind: string }).kind, 'passthrough');
  }
});
