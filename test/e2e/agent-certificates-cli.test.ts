import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { examine } from '../../src/cli/doctor/examine.ts';
import { subjectOfFile } from '../../src/cli/doctor/subject.ts';
import { AgentPki } from '../support/agent-pki.ts';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { startEchoTarget } from '../support/echo-target.ts';
import { hear } from '../support/hear.ts';
import { type RunningCli, startCli } from '../support/run-cli.ts';
import { steadyPort } from '../support/steady-port.ts';
import { withFolder } from '../support/with-folder.ts';

const NAME = 'www.example.com';

/** Asks for an exposure, and waits until its port leads somewhere. */
async function expose(api: number, request: object): Promise<void> {
  const url = `http://127.0.0.1:${api}`;
  const body = JSON.stringify({ name: 'a service', ...request });
  const answer = await fetch(`${url}/expose`, { method: 'POST', body });
  const id = await answer.text();
  assert.equal(answer.status, 200, id);
  const given = AbortSignal.timeout(60_000);
  for (;;) {
    const list = (await (await fetch(`${url}/list`)).json()) as { id: string; status: string; message: string }[];
    const { status, message } = list.find((each) => each.id === id) ?? assert.fail();
    if (status === 'COMPLETE') return;
    if (given.aborted) assert.fail(message);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function metric(api: number, name: string): Promise<string[]> {
  const text = await (await fetch(`http://127.0.0.1:${api}/metrics`)).text();
  return text.split('\n').filter((line) => line.startsWith(`${name}{`));
}

test('an agent with nothing but a certificate serves, exposes in both directions, is examined, and is gone when it is revoked', async (t) => {
  const service = await startEchoTarget('service');
  t.after(() => service.close());
  assert.ok(service.address.kind === 'tcp');
  const destination = `127.0.0.1:${service.address.port}`;
  const [port, admin, api, local, remote] = await Promise.all(Array.from({ length: 5 }, steadyPort));
  assert.ok(port !== undefined && admin !== undefined && api !== undefined);
  const { certFile, keyFile } = testCertificate();
  const pki = await AgentPki.make();
  const proof = await pki.issue([`web-1.${NAME}`], { days: 10 });
  const server = {
    listen: `127.0.0.1:${port}`,
    certificates: { hosts: '*', cert: certFile, key: keyFile },
    admin: { listen: `127.0.0.1:${admin}` },
  };
  const grants = { ports: local, destinations: destination };
  const agentDomain = {
    active: true,
    remote: `127.0.0.1:${port}`,
    ca: testAuthority().certFile,
    instance: 'web-1',
    certificate: '../agent.pem',
    key: '../agent.key',
    targets: { target: `tcp://${destination}` },
  };
  const files = {
    'server/server.json5': JSON.stringify(server),
    [`server/domains/${NAME}.json5`]: JSON.stringify({ active: true, certificates: '../ca.pem', grants }),
    'agent/agent.json5': JSON.stringify({ api: { listen: `127.0.0.1:${api}` } }),
    [`agent/domains/${NAME}.json5`]: JSON.stringify(agentDomain),
    'server/ca.pem': await pki.revoking(),
    'agent/agent.pem': proof.certificate,
    'agent/agent.key': proof.key.reveal(),
  };
  await withFolder(files, async (folder) => {
    const agentFile = join(folder, 'agent/agent.json5');
    const doctor = async () => {
      const findings = await examine(await subjectOfFile(agentFile), {});
      return findings.find(({ step }) => step === 'secret')?.message;
    };
    const running: RunningCli[] = [startCli(['server', '-c', join(folder, 'server/server.json5')])];
    const [served = assert.fail()] = running;
    try {
      await served.see(/"event":"listening"/);
      const agent = startCli(['agent', '-c', agentFile]);
      running.push(agent);
      await agent.see(/the certificate ends on/, 'stderr');
      await agent.see(/"event":"tunnel-opened".*"live":2/);
      await served.see(/the certificate of the agent web-1 ends on/);

      await expose(api, {
        type: 'local',
        source_port: local,
        remote_connector_addr: `127.0.0.1:${port}`,
        destination_addr: destination,
      });
      assert.equal(await hear(local ?? 0), 'service');
      await expose(api, {
        type: 'remote',
        source_port: remote,
        remote_connector_addr: `127.0.0.1:${port}`,
        destination_addr: destination,
      });
      assert.equal(await hear(remote ?? 0), 'service');

      const own = await metric(api, 'backdial_certificate_not_after_timestamp_seconds');
      assert.equal(own.length, 1);
      assert.ok(own[0]?.startsWith(`backdial_certificate_not_after_timestamp_seconds{hosts="${NAME}"} `));
      const seen = await metric(admin, 'backdial_tunnel_certificate_not_after_timestamp_seconds');
      assert.deepEqual(new Set(seen.map((line) => line.split(' ')[1])), new Set([own[0]?.split(' ')[1]]));
      assert.equal(seen.length, 2);

      assert.equal(await doctor(), `${NAME}: accepted, with the certificate`);

      await writeFile(join(folder, 'server/ca.pem'), await pki.revoking(proof));
      await served.see(/"event":"tunnel-closed"[^\n]*was revoked/);
      await assert.rejects(once(net.connect(local ?? 0, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' });
      assert.equal(await doctor(), `${NAME}: refused (answered 404)`);
    } catch (error) {
      throw new Error(running.map((each) => each.output().stdout).join('\n'), { cause: error });
    } finally {
      await Promise.all(running.map((each) => each.end('SIGKILL')));
    }
  });
});
