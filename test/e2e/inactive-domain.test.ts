import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { type Agent, createAgent, Secret } from '../../src/index.ts';
import { testAuthority } from '../support/certificates.ts';
import { visit } from '../support/curl.ts';
import { listenOn } from '../support/listen-on.ts';
import { withServer } from '../support/with-server.ts';

const SECRET = new Secret('a secret of enough bytes');
const STATUS_ONLY = ['--insecure', '--output', '/dev/null', '--write-out', '%{http_code}'];

function startAgent(name: string, serverPort: number, port: number): Agent {
  const target = { kind: 'tcp', host: '127.0.0.1', port } as const;
  const ca = testAuthority().cert;
  const agent = createAgent({ domains: [{ name, secret: SECRET, remote: [`127.0.0.1:${serverPort}`], ca, target }] });
  agent.start();
  return agent;
}

test('a domain that is switched off is served neither by the wildcard that covers it nor to who claims it', async () => {
  const target = createServer((_request, response) => response.end('ok'));
  const targetPort = await listenOn(target);
  const agents: Agent[] = [];
  const domains = [{ name: '*.example.com', secrets: [SECRET] }];
  try {
    await withServer({ domains, inactive: ['off.example.com'] }, async ({ port, events }) => {
      const wildcard = startAgent('*.example.com', port, targetPort);
      agents.push(wildcard);
      await wildcard.ready;
      assert.equal(await visit('on.example.com', port, '/', STATUS_ONLY), '200');
      assert.equal(await visit('off.example.com', port, '/', STATUS_ONLY), '404');
      agents.push(startAgent('off.example.com', port, targetPort));
      const refused = await events.wait('handshake-refused', ({ domain }) => domain === 'off.example.com');
      assert.equal(refused.reason, 'domain-inactive');
    });
  } finally {
    await Promise.all(agents.map((agent) => agent.close({ drainMs: 0 })));
    target.closeAllConnections();
    target.close();
  }
});
