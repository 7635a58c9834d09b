import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pinOf } from '../../src/net/pin.ts';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { asRoot } from '../support/root-system.ts';
import { type RunningCli, startCli } from '../support/run-cli.ts';
import { steadyPort } from '../support/steady-port.ts';
import { findTool } from '../support/tools.ts';
import { ROOT } from './executable.ts';
import type { Image } from './image.ts';

const run = promisify(execFile);
const DOMAIN = 'www.example.com';
const SECRET = 'a secret of the image, for nothing else';

/** Starts what the image starts, as its user and with its environment: the server of conf/compose, and the sidecar's agent. */
export async function tryImage(image: Image, work: string): Promise<void> {
  assert.notEqual(image.user, 'root');
  assert.equal(image.stopSignal, 'SIGTERM');
  const programs: RunningCli[] = [];
  const start = (args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCli => {
    const variables = Object.entries({ PATH: '/usr/local/bin:/usr/bin:/bin', ...image.env, ...env });
    const user = `--userspec=${image.user}:${image.user}`;
    const assignments = variables.map(([name, value]) => `${name}=${value}`);
    const program = startCli(args, {
      program: asRoot('chroot', user, image.folder, 'env', '-i', ...assignments, ...image.entrypoint),
    });
    programs.push(program);
    return program;
  };
  const target = http.createServer((_request, response) => response.end('hello from the service'));
  const close = closerOf(target);
  try {
    const help = await start(image.command).end();
    assert.match(help.stdout, /^backdial <command>/);
    const targetPort = await listenOn(target);
    const port = await steadyPort();
    mountServer(image, work, port);
    const server = start(['server', '-c', '/etc/backdial/server.json5']);
    await server.see(/ready; active domains: 1/);
    // What conf/compose/sidecar.yaml sets, and nothing else.
    const agent = start(['http', `127.0.0.1:${targetPort}`], {
      BACKDIAL_SERVER: `127.0.0.1:${port}`,
      BACKDIAL_DOMAIN: DOMAIN,
      BACKDIAL_SECRET_FILE: '/run/backdial-secret',
      BACKDIAL_PIN: pinOf(testCertificate().cert),
      BACKDIAL_INSTANCE: 'sidecar',
      BACKDIAL_LOG_LEVEL: 'debug',
    });
    await agent.see(/"event":"tunnel-opened".*"live":2/);
    const args = ['-sS', '--max-time', '10', '--cacert', testAuthority().certFile];
    const at = ['--resolve', `${DOMAIN}:${port}:127.0.0.1`, `https://${DOMAIN}:${port}/`];
    const { stdout } = await run(findTool('curl'), [...args, ...at]);
    assert.equal(stdout, 'hello from the service');
    const socket = join(image.folder, 'var/lib/backdial/admin.sock');
    const page = await run(findTool('curl'), ['-sSf', '--unix-socket', socket, 'http://localhost/page.js']);
    assert.match(page.stdout, /from '\.\/preact\.js'/);
    const health = () => start(image.health.slice(image.entrypoint.length)).end();
    assert.deepEqual(image.health.slice(0, image.entrypoint.length), image.entrypoint);
    assert.equal((await health()).code, 0);
    assert.equal((await agent.end('SIGTERM')).code, 0);
    assert.equal((await server.end('SIGTERM')).code, 0);
    assert.equal((await health()).code, 1);
  } finally {
    for (const program of programs) program.child.kill('SIGKILL');
    await close();
  }
}

/** The volumes of conf/compose/server.yaml: its configuration as it is but for the port, a certificate, one domain. */
function mountServer({ folder, user }: Image, work: string, port: number): void {
  const conf = readFileSync(join(ROOT, 'conf/compose/server/server.json5'), 'utf8')
    .replace('0.0.0.0:8443', `127.0.0.1:${port}`)
    .replace('127.0.0.1:9090', 'unix:/var/lib/backdial/admin.sock');
  const files = {
    'etc/backdial/server.json5': conf,
    [`etc/backdial/domains/${DOMAIN}.json5`]: `{ active: true, secret: "${SECRET}" }`,
    'etc/backdial-certs/chain.pem': testCertificate().cert,
    'etc/backdial-certs/key.pem': testCertificate().key,
    'run/backdial-secret': `${SECRET}\n`,
  };
  const volumes = join(work, 'volumes');
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(volumes, path, '..'), { recursive: true });
    writeFileSync(join(volumes, path), text, { mode: 0o600 });
  }
  const steps = [
    asRoot('cp', '-a', `${volumes}/.`, folder),
    asRoot('chroot', folder, 'chown', '-R', `${user}:`, '/etc/backdial', '/etc/backdial-certs', '/run/backdial-secret'),
  ];
  for (const [program, ...args] of steps) execFileSync(program, args);
}
