import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAgent } from '../../src/index.ts';
import { pinOf } from '../../src/net/pin.ts';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { EventLog } from '../support/event-log.ts';
import { testDomain } from '../support/with-agent.ts';
import { withServer } from '../support/with-server.ts';
import { within } from '../support/within.ts';

test('with the pin of the server alone, without any authority, an agent is up', () =>
  withServer({}, async ({ port, server }) => {
    const { ca: _none, ...domain } = testDomain({ remote: [`localhost:${port}`] });
    const agent = createAgent({ domains: [{ ...domain, pin: pinOf(testCertificate().cert) }] });
    try {
      agent.start();
      await within('ready', agent.ready);
      assert.equal(server.tunnels().length, 1);
    } finally {
      await agent.close({ drainMs: 0 });
    }
  }));

test('with another pin it is not, the text says both, and the server never saw the secret', () =>
  withServer({}, async ({ port, events: serverEvents }) => {
    const events = new EventLog();
    const domain = testDomain({ remote: [`localhost:${port}`], pin: pinOf(testAuthority().cert) });
    const agent = createAgent({ domains: [domain], observer: events.observer });
    try {
      agent.start();
      const [failed] = await events.until('dial-failed');
      assert.equal(failed?.reason, 'server-certificate');
      assert.ok(failed?.detail.includes(pinOf(testAuthority().cert)));
      assert.ok(failed?.detail.includes(pinOf(testCertificate().cert)));
      assert.equal(serverEvents.of('handshake-refused').length, 0);
      assert.equal(serverEvents.of('tunnel-opened').length, 0);
    } finally {
      await agent.close({ drainMs: 0 });
    }
  }));
