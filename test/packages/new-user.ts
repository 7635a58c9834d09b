import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { closerOf, listenOn } from '../support/listen-on.ts';
import type { RootSystem } from '../support/root-system.ts';
import type { RunningCli } from '../support/run-cli.ts';
import { steadyPort } from '../support/steady-port.ts';
import { findTool } from '../support/tools.ts';

const run = promisify(execFile);
export const DOMAIN = 'www.example.com';
/** A visitor comes this often while the programs are upgraded. */
const VISIT_MS = 20;
const GREETING = '200 hello from the target';

/**
 * What a new user does with nothing but the package: a server with a self-signed certificate, a domain (its secret kept as a
 * hash), an agent that knows the server by its pin, a first request, `doctor`, and an upgrade while visitors come.
 */
export async function tryAsNewUser(system: RootSystem, upgrade: () => void, nextVersion: string): Promise<void> {
  const target = http.createServer((_request, response) => response.end('hello from the target'));
  const close = closerOf(target);
  const targetPort = await listenOn(target);
  const port = await steadyPort();
  const programs: RunningCli[] = [];
  const start = (kind: string, state: string): RunningCli => {
    const program = system.start([kind, '-c', `/etc/backdial/${kind}.json5`], { env: { STATE_DIRECTORY: state } });
    programs.push(program);
    return program;
  };
  try {
    system.run(
      'install',
      '-d',
      '-o',
      'backdial',
      '-g',
      'backdial',
      '/var/lib/backdial-server',
      '/var/lib/backdial-agent',
    );
    const edited = readFileSync(system.path('/etc/backdial/server.json5'), 'utf8')
      .replace('admin: null,', '')
      .replace(
        'listen: ["0.0.0.0:443", "[::]:443"]',
        `admin: { listen: "unix:/var/lib/backdial-server/admin.sock" }, listen: "127.0.0.1:${port}"`,
      );
    write(system, '/etc/backdial/server.json5', edited);
    let server = start('server', '/var/lib/backdial-server');
    const [, pin = ''] = await server.see(/agents need --pin (sha256\/[A-Za-z0-9+/]{43}=)/);
    await server.see(/"msg":"ready;/);
    const secret = await addDomain(system, { port, pin, server });
    write(system, '/etc/backdial/agent.json5', '{ domains: "agent-domains" }');
    system.run('install', '-d', '-o', 'root', '-g', 'backdial', '-m', '750', '/etc/backdial/agent-domains');
    const domain = {
      active: true,
      secret,
      pin,
      remote: `127.0.0.1:${port}`,
      targets: { target: `http://127.0.0.1:${targetPort}` },
    };
    write(system, `/etc/backdial/agent-domains/${DOMAIN}.json5`, JSON.stringify(domain));
    let agent = start('agent', '/var/lib/backdial-agent');
    await agent.see(/"event":"tunnel-opened".*"live":2/);
    assert.equal(await visit(port), GREETING);
    assert.match(
      system.run('backdial', 'doctor', '-c', '/etc/backdial/agent.json5'),
      /secret +www\.example\.com: accepted[\s\S]*nothing is wrong/,
    );

    const page = await run(findTool('curl'), [
      '-sS',
      '--unix-socket',
      system.path('/var/lib/backdial-server/admin.sock'),
      'http://localhost/preact.js',
    ]);
    assert.match(page.stdout, /export/);
    assert.match(system.run('backdial', 'status', '-c', '/etc/backdial/server.json5'), /www\.example\.com/);

    const visitors = keepVisiting(port);
    upgrade();
    assert.equal(readFileSync(system.path('/etc/backdial/server.json5'), 'utf8'), edited, 'the configuration was kept');
    // What `systemctl try-restart` does: ask, wait for the end, start.
    assert.equal((await agent.end('SIGTERM')).code, 0);
    agent = start('agent', '/var/lib/backdial-agent');
    await agent.see(/"event":"tunnel-opened".*"live":2/);
    assert.equal((await server.end('SIGTERM')).code, 0);
    server = start('server', '/var/lib/backdial-server');
    await server.see(new RegExp(`backdial ${nextVersion.replaceAll('.', '\\.')}: server`));
    const given = AbortSignal.timeout(20_000);
    while ((await visit(port)) !== GREETING && !given.aborted) await sleep(VISIT_MS);
    assert.equal(await visit(port), GREETING);
    const { good, bad } = await visitors.end();
    assert.ok(good > 0);
    // While a program is away there is nobody to answer; but never an answer that is wrong.
    for (const answer of bad) assert.match(answer, /^(?:404 |503 |502 |000 ?|error )/);
  } finally {
    for (const program of programs) program.child.kill('SIGKILL');
    await close();
  }
}

/**
 * `domain add`, whose file the server that runs reads at once, and its secret as a hash in the server's file, so that the server's worker
 * thread has to check it.
 */
async function addDomain(
  system: RootSystem,
  { port, pin, server }: { readonly port: number; readonly pin: string; readonly server: RunningCli },
): Promise<string> {
  const added = system.run('backdial', 'domain', 'add', DOMAIN, '--server', `127.0.0.1:${port}`);
  assert.ok(added.endsWith(` --domain ${DOMAIN} --pin ${pin}\n`), added);
  await server.see(/configuration: domain www\.example\.com added/);
  assert.doesNotMatch(server.output().stdout, /config-problem/);
  const file = `/etc/backdial/domains/${DOMAIN}.json5`;
  const text = readFileSync(system.path(file), 'utf8');
  const [, secret = ''] = /secret: "([^"]+)"/.exec(text) ?? [];
  assert.ok(secret.length >= 16, text);
  const [, hash = ''] = /(\$6\$\S+)/.exec(system.run('backdial', 'password', secret)) ?? [];
  write(
    system,
    file,
    text.replace(secret, () => hash),
  );
  await server.see(/configuration: domain www\.example\.com changed/);
  return secret;
}

/** As an administrator would leave it: for root and the group of the service. */
function write(system: RootSystem, file: string, text: string): void {
  writeFileSync(system.path(file), text);
  chmodSync(system.path(file), 0o640);
  system.run('chown', 'root:backdial', file);
}

/** Status and body, or what went wrong, of a visit with `curl`. */
export async function visit(port: number): Promise<string> {
  const url = `https://${DOMAIN}:${port}/`;
  const args = [
    '-sS',
    '-k',
    '--max-time',
    '5',
    '--resolve',
    `${DOMAIN}:${port}:127.0.0.1`,
    '-w',
    '\n%{http_code}',
    url,
  ];
  try {
    const { stdout } = await run(findTool('curl'), args);
    const lines = stdout.split('\n');
    return `${lines.pop()} ${lines.join('\n')}`;
  } catch (error) {
    return `error ${(error as Error).message.split('\n').at(-2) ?? ''}`;
  }
}

function keepVisiting(port: number): { end(): Promise<{ good: number; bad: string[] }> } {
  let over = false;
  const bad: string[] = [];
  let good = 0;
  const going = (async () => {
    while (!over) {
      const answer = await visit(port);
      if (answer === GREETING) good += 1;
      else bad.push(answer);
      await sleep(VISIT_MS);
    }
  })();
  return {
    end: async () => {
      over = true;
      await going;
      return { good, bad };
    },
  };
}
