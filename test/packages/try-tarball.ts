import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { dirname } from 'node:path';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { asRoot, type RootSystem } from '../support/root-system.ts';
import { type RunningCli, startCli } from '../support/run-cli.ts';
import { steadyPort } from '../support/steady-port.ts';
import { DOMAIN, visit } from './new-user.ts';

const SECRET = 'a secret of the tarball';

/**
 * Starts what `npm install --global` put into a system as a server and as an agent, from the usual files, and visits what the agent
 * serves.
 */
export async function tryTarball(system: RootSystem, program: string): Promise<void> {
  const target = http.createServer((_request, response) => response.end('hello from the target'));
  const close = closerOf(target);
  const [targetPort, port] = [await listenOn(target), await steadyPort()];
  const programs: RunningCli[] = [];
  const start = (...args: readonly string[]): RunningCli => {
    const running = startCli(args, { program: asRoot('chroot', system.folder, program) });
    programs.push(running);
    return running;
  };
  const write = (path: string, value: object): void => {
    const file = system.path(`/etc/backdial/${path}`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(value), { mode: 0o600 });
  };
  try {
    write('server.json5', { listen: `127.0.0.1:${port}` });
    write(`domains/${DOMAIN}.json5`, { active: true, secret: SECRET });
    const server = start('server');
    const [, pin = ''] = await server.see(/agents need --pin (sha256\/[A-Za-z0-9+/]{43}=)/);
    write('agent.json5', { domains: 'agent-domains', api: { listen: 'unix:/run/agent.sock' } });
    const targets = { target: `http://127.0.0.1:${targetPort}` };
    const remote = `127.0.0.1:${port}`;
    write(`agent-domains/${DOMAIN}.json5`, { active: true, secret: SECRET, pin, remote, targets });
    const agent = start('agent');
    await agent.see(/"event":"tunnel-opened".*"live":2/);
    assert.equal(await visit(port), '200 hello from the target');
    // The server's file has no API, and comes first.
    assert.match(system.run(program, 'status'), /^agent \S+, .*: serving, /);
    assert.match(system.run(program, 'doctor', '-c', '/etc/backdial/agent.json5'), /^nothing is wrong$/m);
    for (const running of [agent, server]) assert.equal((await running.end('SIGTERM')).code, 0);
  } finally {
    for (const running of programs) running.child.kill('SIGKILL');
    await close();
  }
}
