import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { createAgent, createServer, Secret, type ServerOptions } from '../../src/index.ts';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { EventLog } from '../support/event-log.ts';

const DOMAIN = 'www.example.com';
const secret = new Secret('a secret of the tests, made for nothing else');

function optionsOf(events: EventLog): ServerOptions {
  const { cert, key } = testCertificate();
  const certificates = [{ hosts: ['*'], cert, key }];
  const listen = [{ host: '127.0.0.1', port: 0 }];
  return { listen, certificates, domains: [{ name: DOMAIN, secrets: [secret] }], observer: events.observer };
}

function agentOf(): ReturnType<typeof createAgent> {
  const domain = { name: DOMAIN, secret, remote: ['127.0.0.1:1'], ca: testAuthority().cert };
  return createAgent({ domains: [domain], handler: () => new Response('') });
}

async function assertNothingListens(events: EventLog): Promise<void> {
  for (const event of events.of('listening')) {
    const socket = connect({ host: '127.0.0.1', port: Number(event.address.split(':').at(-1)) });
    const [error] = await once(socket, 'error');
    assert.equal(error.code, 'ECONNREFUSED');
  }
}

describe('the end of a server or an agent of the library', () => {
  it('lets nothing listen that was asked to after it, or while it came', async () => {
    const events = new EventLog();
    const closed = createServer(optionsOf(events));
    await closed.close();
    await assert.rejects(closed.listen(), { code: 'tunnel-draining' });
    const closing = createServer(optionsOf(events));
    const listening = assert.rejects(closing.listen(), { code: 'tunnel-draining' });
    await Promise.all([listening, closing.close()]);
    assert.ok(events.of('listening').length > 0, 'the second one had begun');
    await assertNothingListens(events);
  });

  it('comes at the end of a block that uses it', async () => {
    const events = new EventLog();
    let ready: Promise<void>;
    {
      await using server = createServer(optionsOf(events));
      await server.listen();
      await using agent = agentOf();
      agent.start();
      ready = agent.ready;
    }
    await assert.rejects(ready, { code: 'dial-aborted' });
    await assertNothingListens(events);
  });
});
