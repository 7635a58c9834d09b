import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { examine } from '../../../src/cli/doctor/examine.ts';
import { type Finding, isHealthy } from '../../../src/cli/doctor/findings.ts';
import { subjectOfFile } from '../../../src/cli/doctor/subject.ts';
import { createAgent, type DomainOptions } from '../../../src/index.ts';
import { AgentPki, type AgentProof } from '../../support/agent-pki.ts';
import { testAuthority } from '../../support/certificates.ts';
import { withFolder } from '../../support/with-folder.ts';
import { startServer, type TestServer } from '../../support/with-server.ts';
import { within } from '../../support/within.ts';

async function withServer(domain: Partial<DomainOptions>, body: (server: TestServer) => Promise<void>): Promise<void> {
  const server = await startServer({ domains: [{ name: 'www.test', secrets: [], ...domain }] });
  try {
    await body(server);
  } finally {
    await server.close();
  }
}

/** What the doctor finds for the files of the agent `web-1`, which has no secret. */
function diagnose({ port }: TestServer, { certificate, key }: AgentProof): Promise<Finding[]> {
  const domain = {
    active: true,
    remote: `127.0.0.1:${port}`,
    ca: testAuthority().certFile,
    instance: 'web-1',
    certificate: '../agent.pem',
    key: '../agent.key',
    ports: { 22: '127.0.0.1:22' },
  };
  const files = {
    'agent.json5': '{}',
    'agent.pem': certificate,
    'agent.key': key.reveal(),
    'domains/www.test.json5': JSON.stringify(domain),
  };
  return withFolder(files, async (folder) => {
    const subject = await subjectOfFile(join(folder, 'agent.json5'));
    return examine({ ...subject, targets: [] }, {});
  });
}

const secretOf = (findings: readonly Finding[]) => findings.filter(({ step }) => step === 'secret');

describe('the doctor of an agent with a certificate', () => {
  it('shows it, for the very instance that it is for, and disturbs no tunnel of that', async () => {
    const pki = await AgentPki.make();
    const proof = await pki.issue(['web-1.www.test']);
    await withServer({ certificates: pki.pem }, async (server) => {
      const remote = [`127.0.0.1:${server.port}`];
      const trust = { ca: testAuthority().cert, instance: 'web-1', connections: 2 };
      const agent = createAgent({
        domains: [{ name: 'www.test', remote, ...trust, ...proof, handler: () => new Response() }],
      });
      try {
        agent.start();
        await within('ready', agent.ready);
        await server.events.until('tunnel-opened', 2);
        const findings = await diagnose(server, proof);
        assert.ok(isHealthy(findings), JSON.stringify(findings, null, 2));
        assert.deepEqual(
          secretOf(findings).map(({ result, message }) => `${result}: ${message}`),
          ['ok: www.test: accepted, with the certificate'],
        );
        const own = server.events.of('tunnel-opened').filter(({ tunnel }) => tunnel.slot < 2);
        assert.deepEqual([own.length, server.events.of('tunnel-opened').length], [2, 3]);
        const ended = server.events.of('tunnel-closed').filter(({ tunnel }) => tunnel.slot < 2);
        assert.deepEqual(ended, []);
      } finally {
        await agent.close({ drainMs: 0 });
      }
    });
  });

  it('says what may be wrong with it', async () => {
    const [pki, other] = [await AgentPki.make(), await AgentPki.make()];
    await withServer({ certificates: pki.pem }, async (server) => {
      const findings = await diagnose(server, await other.issue(['www.test']));
      const [found] = secretOf(findings);
      assert.equal(found?.result, 'failed');
      assert.match(found?.advice ?? '', /certificate is not for www\.test or web-1\.www\.test, has ended, was revoked/);
      assert.doesNotMatch(found?.advice ?? '', /secret is none/);
    });
  });
});
