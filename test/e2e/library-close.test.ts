import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { createAgent, createServer, Secret } from '../../src/index.ts';
import { testCertificate } from '../support/certificates.ts';

const { cert, key } = testCertificate();
const secret = new Secret('a secret of some length');

const WHOLE = 'a whole number from 0 to 2147483647';
const CASES: readonly (readonly [given: unknown, problem: string])[] = [
  [null, 'the options: found null; wanted: an object'],
  [0, 'the options: found a number; wanted: an object'],
  [{ drainMS: 0 }, '`drainMS` is no option; probably `drainMs`'],
  [{ drainMs: null }, `\`drainMs\`: found null; wanted: ${WHOLE}`],
  [{ drainMs: '1s' }, `\`drainMs\`: found a string; wanted: ${WHOLE}`],
  // A timer would take it for 1 ms.
  [{ drainMs: Number.POSITIVE_INFINITY }, `\`drainMs\`: found a number; wanted: ${WHOLE}`],
];

describe('options of close() that are not what the types say', () => {
  it('are named by a server, which goes on', async () => {
    const server = createServer({
      listen: [{ host: '127.0.0.1', port: 0 }],
      certificates: [{ hosts: ['*'], cert, key }],
      domains: [{ name: 'www.test', secrets: [secret] }],
    });
    for (const [given, problem] of CASES) {
      const message = `the configuration is invalid: ${problem}`;
      await assert.rejects(server.close(given as never), { code: 'config-invalid', message });
    }
    const { frontDoor } = await server.listen();
    assert.equal(frontDoor.length, 1);
    await server.close({ drainMs: undefined } as never);
  });

  it('are named by an agent, which goes on', async () => {
    const target = { kind: 'tcp', host: '127.0.0.1', port: 9, http: true } as const;
    const agent = createAgent({ domains: [{ name: 'www.test', secret, remote: ['127.0.0.1:9'], target }] });
    for (const [given, problem] of CASES) {
      const message = `the configuration is invalid: ${problem}`;
      await assert.rejects(agent.close(given as never), { code: 'config-invalid', message });
    }
    await agent.apply({ domains: [] });
    await agent.close({ drainMs: undefined } as never);
  });
});

test('close() of a server that is closed leaves no timer behind, which would keep the process alive', async () => {
  const server = createServer({
    listen: [{ host: '127.0.0.1', port: 0 }],
    certificates: [{ hosts: ['*'], cert, key }],
    domains: [{ name: 'www.test', secrets: [secret] }],
  });
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  await server.listen();
  await server.close();
  const before = timers();
  await server.close();
  assert.equal(timers(), before);
});
