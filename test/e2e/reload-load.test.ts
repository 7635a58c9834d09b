import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, test } from 'node:test';
import { issueCertificate, TEST_NAMES } from '../support/certificates.ts';
import { type ConfigDeployment, withConfigDeployment } from '../support/config-deployment.ts';
import { withListener } from '../support/listen-on.ts';
import { startSteadyLoad } from '../support/steady-load.ts';
import { steadyPort } from '../support/steady-port.ts';
import { eventually } from '../support/within.ts';

const PER_SECOND = 500;
const BODY = 'x'.repeat(1_000);
const SERVER = 'server/server.json5';
const SERVER_DOMAIN = 'server/domains/www.example.com.json5';
const AGENT_DOMAIN = 'agent/domains/www.example.com.json5';

async function withTarget(body: (port: number) => Promise<void>): Promise<void> {
  const target = http.createServer((_request, response) => response.end(BODY));
  await withListener(target, body);
}

/** Runs `reloads` under load: not one request may be lost. Gives how many were answered. */
async function underLoad(deployment: ConfigDeployment, reloads: () => Promise<void>): Promise<number> {
  const load = startSteadyLoad(deployment.port, PER_SECOND, BODY);
  const began = performance.now();
  await reloads().catch(async (error) => {
    await load.stop();
    throw error;
  });
  const seconds = (performance.now() - began) / 1_000;
  const { answered, failures } = await load.stop();
  assert.deepEqual(failures, []);
  assert.ok(answered > (PER_SECOND * seconds) / 2, `${answered} requests in ${seconds} s`);
  return answered;
}

describe(`reloads under ${PER_SECOND} requests a second`, () => {
  test('of limits, domains, certificates, listeners, targets and rules: ten lose no request and drop no tunnel', () =>
    withTarget((targetPort) =>
      withTarget((otherPort) =>
        withConfigDeployment(targetPort, async (deployment) => {
          const { change, events, server, agent, serverDomain, serverFile, agentDomain } = deployment;
          const { certFile: cert, keyFile: key } = issueCertificate(TEST_NAMES);
          const listen = [`127.0.0.1:${deployment.port}`, `127.0.0.1:${await steadyPort()}`];
          await underLoad(deployment, async () => {
            await change(SERVER_DOMAIN, serverDomain({ concurrency: 500, balance: 'least-streams' }));
            await change('server/domains/other.example.com.json5', serverDomain());
            await change(SERVER, serverFile({ headersSize: '32kB', idleTimeout: '30s' }));
            await change(SERVER, serverFile({ certificates: [{ hosts: ['*'], cert, key }] }));
            await change(SERVER, serverFile({ listen }));
            await change(SERVER, serverFile());
            await change(SERVER_DOMAIN, serverDomain({ networks: '127.0.0.0/8', clients: { networks: '127.0.0.1' } }));
            await change(AGENT_DOMAIN, agentDomain({ targets: [{ target: `http://127.0.0.1:${otherPort}` }] }));
            await change('agent/agent.json5', { readTimeout: '5s', log: { level: 'debug' } });
            await change(
              SERVER_DOMAIN,
              serverDomain({ secret: ['another secret of enough bytes', 'a secret of enough bytes'] }),
            );
          });
          assert.equal(events(server, 'tunnel-closed').length + events(agent, 'tunnel-closed').length, 0);
          assert.equal(events(server, 'tunnel-opened').length, 2);
        }),
      ),
    ));

  test('that rotate the secret, server and agent in turn, lose no request', () =>
    withTarget((targetPort) =>
      withConfigDeployment(targetPort, async (deployment) => {
        const { change, events, server, serverDomain, agentDomain } = deployment;
        const [old, young] = ['a secret of enough bytes', 'a younger secret of enough bytes'];
        await underLoad(deployment, async () => {
          await change(SERVER_DOMAIN, serverDomain({ secret: [old, young] }));
          await change(AGENT_DOMAIN, agentDomain({ secret: young }));
          await eventually('the old tunnels drained', () => events(server, 'tunnel-closed').length === 2);
          await change(SERVER_DOMAIN, serverDomain({ secret: young }));
        });
        assert.deepEqual(
          events(server, 'tunnel-closed').map(({ reason }) => reason),
          ['peer-drained', 'peer-drained'],
        );
      }),
    ));
});
