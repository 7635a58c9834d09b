import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testAuthority, testCertificate } from './certificates.ts';
import { FaultyLink } from './faulty-link.ts';
import { type RunningCli, startCli } from './run-cli.ts';
import { steadyPort } from './steady-port.ts';
import { TARGET_PROGRAM, type UploadReport } from './target-program.ts';
import { DOMAIN, SECRET } from './with-tunnel.ts';
import { within } from './within.ts';

export interface DeploymentOptions {
  /** The port of a target that the test has; without it there is one in a process of its own, {@link TARGET_PROGRAM}. */
  readonly targetPort?: number;
  /** Both have their API open, see {@link Deployment.metrics}. Default false. */
  readonly metrics?: boolean;
}

/** Server, agent and target as programs of their own, joined by a link of this process: all can be killed and started again. */
export class Deployment {
  readonly frontDoor: number;
  readonly tcp: number;
  /** Between agent and server. */
  readonly link: FaultyLink;
  /** What became of each upload that reached a target. */
  readonly uploads = new Map<string, UploadReport['state']>();
  readonly #folder: string;
  readonly #ports: Ports;
  #server: RunningCli;
  #agent: RunningCli;
  #target: ChildProcess | null;

  private constructor(folder: string, ports: Ports, link: FaultyLink) {
    this.#folder = folder;
    this.frontDoor = ports.frontDoor;
    this.tcp = ports.tcp;
    this.#ports = ports;
    this.link = link;
    this.#target = ports.ownTarget ? this.#startTarget() : null;
    this.#server = this.#start('server');
    this.#agent = this.#start('agent');
  }

  static async start(options: DeploymentOptions = {}): Promise<Deployment> {
    const [frontDoor, tcp] = [await steadyPort(), await steadyPort()];
    const ownTarget = options.targetPort === undefined;
    const api = options.metrics === true ? { server: await steadyPort(), agent: await steadyPort() } : null;
    const ports = { frontDoor, tcp, target: options.targetPort ?? (await steadyPort()), ownTarget, api };
    const link = await FaultyLink.to(ports.frontDoor);
    const folder = mkdtempSync(join(tmpdir(), 'backdial-test-'));
    writeFiles(folder, ports, link.port);
    const deployment = new Deployment(folder, ports, link);
    if (ownTarget) await deployment.untilServing();
    else await deployment.untilTunnels();
    return deployment;
  }

  get agent(): RunningCli {
    return this.#agent;
  }

  get server(): RunningCli {
    return this.#server;
  }

  /** `kill -9` and a new process; it is up when {@link untilServing} says so. */
  async killServer(): Promise<void> {
    await this.#server.end('SIGKILL');
    this.#server = this.#start('server');
  }

  async killAgent(): Promise<void> {
    await this.#agent.end('SIGKILL');
    this.#agent = this.#start('agent');
  }

  async killTarget(): Promise<void> {
    if (this.#target === null) throw new Error('this deployment has no target of its own');
    await stopTarget(this.#target);
    this.#target = this.#startTarget();
  }

  /** Resolves when the agent that was started last has all its tunnels. */
  async untilTunnels(): Promise<void> {
    await this.#agent.see(/"event":"tunnel-opened".*"live":2/);
  }

  /** Resolves when a request through the tunnel is answered by the target. */
  async untilServing(): Promise<void> {
    const given = AbortSignal.timeout(60_000);
    while (!(await this.#answers())) {
      if (given.aborted) throw new Error(`no answer\n${this.output()}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  /** What server or agent counts now: gives the value of a metric, summed over its series whose labels hold `label`. */
  async metrics(kind: 'server' | 'agent'): Promise<(name: string, label?: string) => number> {
    if (this.#ports.api === null) throw new Error('this deployment was started without metrics');
    const response = await fetch(`http://127.0.0.1:${this.#ports.api[kind]}/metrics`);
    const lines = (await response.text()).split('\n');
    return (name, label = '') =>
      lines
        .filter((line) => line.startsWith(name) && line.includes(label))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  /** What server and agent have logged since they were started. */
  output(): string {
    const [server, agent] = [this.#server.output(), this.#agent.output()];
    return `server: ${server.stdout}${server.stderr}\nagent: ${agent.stdout}${agent.stderr}`;
  }

  async close(): Promise<void> {
    await Promise.all([
      this.#agent.end('SIGKILL'),
      this.#server.end('SIGKILL'),
      this.#target === null ? null : stopTarget(this.#target),
    ]);
    await this.link.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #start(kind: 'server' | 'agent'): RunningCli {
    return startCli([kind, '-c', join(this.#folder, kind, `${kind}.json5`)]);
  }

  #startTarget(): ChildProcess {
    const child = fork(TARGET_PROGRAM, [String(this.#ports.target)]);
    child.on('message', (report: UploadReport) => this.uploads.set(report.upload, report.state));
    return child;
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const request = http.get({ port: this.tcp, path: '/ready', agent: false, timeout: 10_000 }, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      request.on('error', () => resolve(false));
      request.on('timeout', () => request.destroy());
    });
  }
}

interface Ports {
  readonly frontDoor: number;
  readonly tcp: number;
  readonly target: number;
  readonly ownTarget: boolean;
  readonly api: Readonly<Record<'server' | 'agent', number>> | null;
}

function writeFiles(folder: string, ports: Ports, linkPort: number): void {
  const common = { domains: 'domains', state: 'state', log: { level: 'info', system: 'console', access: null } };
  const { certFile, keyFile } = testCertificate();
  const { api } = ports;
  const files = {
    'server/server.json5': {
      ...common,
      ...(api === null ? {} : { admin: { listen: `127.0.0.1:${api.server}` } }),
      listen: [`127.0.0.1:${ports.frontDoor}`],
      certificates: [{ hosts: ['*'], cert: certFile, key: keyFile }],
    },
    [`server/domains/${DOMAIN}.json5`]: { active: true, secret: SECRET, listen: [`127.0.0.1:${ports.tcp}`] },
    'agent/agent.json5': { ...common, ...(api === null ? {} : { api: { listen: `127.0.0.1:${api.agent}` } }) },
    [`agent/domains/${DOMAIN}.json5`]: {
      active: true,
      secret: SECRET,
      remote: [`127.0.0.1:${linkPort}`],
      ca: testAuthority().certFile,
      instance: 'first',
      targets: [{ target: `http://127.0.0.1:${ports.target}` }],
    },
  };
  for (const kind of ['server', 'agent']) mkdirSync(join(folder, kind, 'domains'), { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    writeFileSync(join(folder, path), JSON.stringify(content), { mode: 0o600 });
  }
}

async function stopTarget(child: ChildProcess): Promise<void> {
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await within("the target's end", ended);
}
