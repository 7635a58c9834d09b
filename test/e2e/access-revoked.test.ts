import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import * as https from 'node:https';
import { test } from 'node:test';
import { AgentPki, type AgentProof } from '../support/agent-pki.ts';
import { testAuthority } from '../support/certificates.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { type TestServer, withServer } from '../support/with-server.ts';
import { within } from '../support/within.ts';

const DOMAIN = 'mine.example.com';

/** A visitor with a certificate, who keeps one connection. */
class Visitor {
  readonly #agent: https.Agent;
  readonly #port: number;
  readonly connections = new Set<unknown>();

  constructor({ port }: TestServer, { certificate, key }: AgentProof) {
    this.#port = port;
    const tls = { cert: certificate, key: key.reveal(), ca: testAuthority().cert, servername: DOMAIN };
    this.#agent = new https.Agent({ keepAlive: true, maxSockets: 1, ...tls });
  }

  status(): Promise<number | undefined> {
    const answered = new Promise<number | undefined>((resolve, reject) => {
      const headers = { host: DOMAIN };
      const sent = https.get({ port: this.#port, host: '127.0.0.1', agent: this.#agent, headers }, (response) => {
        this.connections.add(response.socket);
        response.resume().once('end', () => resolve(response.statusCode));
      });
      sent.on('error', reject);
    });
    return within('an answer', answered);
  }

  close(): void {
    this.#agent.destroy();
  }
}

test("a visitor's certificate that is revoked is none at once, also on a connection that is open; others notice nothing", async () => {
  const web = createServer((_request, response) => response.end('ok'));
  const closeWeb = closerOf(web);
  const target = { host: '127.0.0.1', port: await listenOn(web) };
  const pki = await AgentPki.make('visitors');
  const jane = await pki.issue(['jane.test']);
  const joe = await pki.issue(['joe.test']);
  const domains = (certificates: string) => [{ name: DOMAIN, secrets: [], target, clients: { certificates } }];
  try {
    await withServer({ domains: domains(pki.pem) }, async (server) => {
      const visitors = { jane: new Visitor(server, jane), joe: new Visitor(server, joe) };
      assert.deepEqual([await visitors.jane.status(), await visitors.joe.status()], [200, 200]);
      await server.apply({ domains: domains(await pki.revoking(jane)) });
      assert.deepEqual([await visitors.jane.status(), await visitors.joe.status()], [404, 200]);
      const again = new Visitor(server, jane);
      assert.equal(await again.status(), 404);
      assert.equal(server.events.of('access').at(-1)?.record.reason, 'certificate-refused');
      await server.apply({ domains: domains(await pki.revoking()) });
      assert.deepEqual(
        [await visitors.jane.status(), await visitors.joe.status(), await again.status()],
        [200, 200, 200],
      );
      assert.deepEqual([visitors.jane.connections.size, visitors.joe.connections.size], [1, 1]);
      for (const visitor of [...Object.values(visitors), again]) visitor.close();
    });
  } finally {
    await closeWeb();
  }
});
