import assert from 'node:assert/strict';
import * as http from 'node:http';
import { describe, test } from 'node:test';
import type { AgentDomainOptions } from '../../src/agent/options.ts';
import { pinOf } from '../../src/net/pin.ts';
import { makeSelfSigned } from '../../src/pki/self-signed.ts';
import { issueCertificate, testAuthority, testCertificate } from '../support/certificates.ts';
import { FakeServer, type FakeServerOptions } from '../support/fake-server.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { testDomain, withAgent } from '../support/with-agent.ts';
import { eventually } from '../support/within.ts';

const CA = testAuthority().cert;
const PIN = pinOf(testCertificate().cert);
const OTHER_PIN = pinOf(CA);

/** What comes of the first dial: `open`, or why not; and how many handshakes the server was sent. */
async function firstDial(trust: Partial<AgentDomainOptions>, options: FakeServerOptions & { as?: string } = {}) {
  const server = new FakeServer(options);
  await server.listen();
  const { ca: _none, ...domain } = testDomain({ remote: [`${options.as ?? 'localhost'}:${server.port}`] });
  const seen = { outcome: '', detail: '', handshakes: 0, warnings: [] as string[] };
  try {
    await withAgent({ domains: [{ ...domain, ...trust }] }, {}, async (_agent, events) => {
      await eventually('an outcome', () => events.all.some(({ type }) => type !== 'warning'));
      const [failed] = events.of('dial-failed');
      seen.outcome = failed?.reason ?? 'open';
      seen.detail = failed?.detail ?? '';
      seen.warnings = events.of('warning').map(({ code }) => code);
      seen.handshakes = server.handshakes.length;
    });
  } finally {
    server.close();
  }
  return seen;
}

describe('an agent proves the server before it sends anything', () => {
  test('the system does not know our authority: refused, with the pin to give', async () => {
    const { outcome, detail, handshakes, warnings } = await firstDial({});
    assert.equal(outcome, 'server-certificate');
    assert.ok(detail.includes(PIN), detail);
    assert.match(detail, /UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT/);
    assert.equal(handshakes, 0);
    assert.deepEqual(warnings, []);
  });

  test('the right `ca` is enough, by name and by IP address', async () => {
    assert.equal((await firstDial({ ca: CA })).outcome, 'open');
    assert.equal((await firstDial({ ca: CA }, { as: '127.0.0.1' })).outcome, 'open');
  });

  test('under the right `ca`, a certificate of another name is refused', async () => {
    const certificate = issueCertificate(['DNS:other.example']);
    const { outcome, detail, handshakes } = await firstDial({ ca: CA }, { certificate });
    assert.equal(outcome, 'server-certificate');
    assert.match(detail, /localhost.*other\.example/);
    assert.equal(handshakes, 0);
  });

  test('a certificate that is over is refused with the time that it is here', async () => {
    const old = await makeSelfSigned({ hosts: ['localhost'], days: -0.01 });
    const { outcome, detail } = await firstDial({ ca: old.cert }, { certificate: old });
    assert.equal(outcome, 'server-certificate');
    assert.match(detail, /CERT_HAS_EXPIRED; by the clock of this machine it is \d{4}-\d\d-\d\dT/);
  });

  test('what does not speak TLS is said to be that', async () => {
    const server = http.createServer((_request, response) => response.end());
    const close = closerOf(server);
    const port = await listenOn(server);
    try {
      await withAgent({ domains: [testDomain({ remote: [`localhost:${port}`] })] }, {}, async (_agent, events) => {
        const { reason, detail } = await events.wait('dial-failed');
        assert.equal(reason, 'server-tls');
        assert.match(detail, /does not speak TLS; is the port right\?$/);
      });
    } finally {
      await close();
    }
  });

  test('the right `pin` is enough without any authority', async () => {
    const { outcome, warnings } = await firstDial({ pin: PIN });
    assert.equal(outcome, 'open');
    assert.deepEqual(warnings, []);
  });

  test('a wrong `pin` is refused, with both pins in the text; `insecure` does not change that', async () => {
    for (const insecure of [false, true]) {
      const { outcome, detail, handshakes } = await firstDial({ pin: OTHER_PIN, insecure });
      assert.equal(outcome, 'server-certificate');
      assert.ok(detail.includes(`expected the pin ${OTHER_PIN}, found ${PIN}`), detail);
      assert.equal(handshakes, 0);
    }
  });

  test('with `pin` and `ca` both must hold', async () => {
    assert.equal((await firstDial({ pin: PIN, ca: CA })).outcome, 'open');
    assert.equal((await firstDial({ pin: OTHER_PIN, ca: CA })).outcome, 'server-certificate');
    const stranger = issueCertificate(['DNS:other.example']);
    const renamed = await firstDial({ pin: pinOf(stranger.cert), ca: CA }, { certificate: stranger });
    assert.equal(renamed.outcome, 'server-certificate');
  });

  test('`insecure` takes any certificate, and warns at each start', async () => {
    const { outcome, warnings } = await firstDial({ insecure: true });
    assert.equal(outcome, 'open');
    assert.deepEqual(warnings, ['insecure']);
    const pinned = await firstDial({ insecure: true, pin: PIN });
    assert.deepEqual([pinned.outcome, pinned.warnings], ['open', []]);
  });
});
