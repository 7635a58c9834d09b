import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { testAuthority, testCertificate } from './certificates.ts';
import { type RunningCli, startCli } from './run-cli.ts';
import { steadyPort } from './steady-port.ts';
import { eventually } from './within.ts';

/** A secret of the tests, made for nothing else. */
const SECRET = 'a secret of enough bytes';

/** Server and agent as programs that follow their files, which the test changes. */
export interface ConfigDeployment {
  readonly folder: string;
  readonly port: number;
  readonly server: RunningCli;
  readonly agent: RunningCli;
  /** Writes a file as an editor does, and waits until server or agent (whose folder it is in) has applied it. */
  change(file: string, content: unknown): Promise<void>;
  /** Writes a file as an editor does. */
  write(file: string, content: unknown): void;
  /** The events of a type that a program has logged. */
  events(of: RunningCli, event: string): Record<string, unknown>[];
  /** The file of a server's or an agent's domain, with what is added. */
  serverDomain(more?: object): object;
  agentDomain(more?: object): object;
  serverFile(more?: object): object;
}

/** Runs server and agent for one domain, `www.example.com`, while `body` does. */
export async function withConfigDeployment(
  targetPort: number,
  body: (deployment: ConfigDeployment) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'backdial-test-'));
  const port = await steadyPort();
  const { certFile, keyFile } = testCertificate();
  const log = { level: 'debug' };
  const serverFile = (more: object = {}) => ({
    listen: [`127.0.0.1:${port}`],
    certificates: [{ hosts: ['*'], cert: certFile, key: keyFile }],
    log,
    ...more,
  });
  const serverDomain = (more: object = {}) => ({ active: true, secret: SECRET, ...more });
  const agentDomain = (more: object = {}) => ({
    active: true,
    secret: SECRET,
    remote: [`127.0.0.1:${port}`],
    ca: testAuthority().certFile,
    instance: 'one',
    targets: [{ target: `http://127.0.0.1:${targetPort}` }],
    ...more,
  });
  const write = (file: string, content: unknown) => {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}~`, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 });
    renameSync(`${path}~`, path);
  };
  write('server/server.json5', serverFile());
  write('server/domains/www.example.com.json5', serverDomain());
  write('agent/agent.json5', { log });
  write('agent/domains/www.example.com.json5', agentDomain());
  const server = startCli(['server', '-c', join(folder, 'server/server.json5')]);
  let agent: RunningCli | null = null;
  try {
    await server.see(/"event":"config-unchanged"/);
    agent = startCli(['agent', '-c', join(folder, 'agent/agent.json5')]);
    await agent.see(/"event":"tunnel-opened".*"live":2/);
    await agent.see(/"event":"config-unchanged"/);
    await body({
      folder,
      port,
      server,
      agent,
      write,
      async change(file, content) {
        const program = file.startsWith('server/') || agent === null ? server : agent;
        const applied = eventsOf(program, 'config-applied').length;
        write(file, content);
        await eventually(`${file} is applied`, () => eventsOf(program, 'config-applied').length > applied);
      },
      events: eventsOf,
      serverFile,
      serverDomain,
      agentDomain,
    });
  } catch (error) {
    throw new Error(`server:\n${server.output().stdout}\nagent:\n${agent?.output().stdout ?? 'none'}`, {
      cause: error,
    });
  } finally {
    await Promise.all([server.end('SIGKILL'), agent?.end('SIGKILL')]);
    rmSync(folder, { recursive: true, force: true });
  }
}

function eventsOf(program: RunningCli, event: string): Record<string, unknown>[] {
  return program
    .output()
    .stdout.split('\n')
    .filter((line) => line.includes(`"event":"${event}"`))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
