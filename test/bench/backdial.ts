import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { freePort, type Program, startProgram, untilTrue } from './program.ts';
import { Scratch } from './scratch.ts';
import { answersHttp, answersHttps } from './visit.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const MEMORY_PROBE = fileURLToPath(new URL('./memory-probe.ts', import.meta.url));

/** The domain of all benches: a name that every load generator resolves to the loopback address and sends as SNI. */
export const DOMAIN = 'localhost';

/** A server and an agent of Backdial, joined by tunnels, as the program runs them. */
export interface Backdial {
  readonly server: Program;
  readonly agent: Program;
  /** Where HTTPS visitors connect. */
  readonly httpsPort: number;
  /** Where visitors of the TCP way in connect. */
  readonly tcpPort: number;
  /** Folder of the server's files. */
  readonly serverFolder: string;
  /** Server and agent. */
  readonly pids: readonly number[];
  [Symbol.asyncDispose](): Promise<void>;
}

export interface BackdialOptions {
  readonly targetPort: number;
  /** Tunnels that the agent keeps. Default: the product's. */
  readonly connections?: number;
  /** Gives the port that the agent dials instead of the server's own: of a relay in between. Default: none. */
  readonly through?: (httpsPort: number) => Promise<number>;
  /** Added to the files of the server and of its domain. */
  readonly serverKeys?: object;
  readonly domainKeys?: object;
  /** Added to the agent's file. */
  readonly agentKeys?: object;
  /** Further files of the server's folder, by name. */
  readonly serverFiles?: Readonly<Record<string, string>>;
  /** A module that the server loads before itself; it can be sent messages. */
  readonly serverProbe?: string;
  /** Makes both processes answer {@link readHeap}. Default false: the processes are as users run them. */
  readonly memoryProbe?: boolean;
  /** The target speaks TLS, and HTTPS visitors are passed through to it. Default false. */
  readonly passthrough?: boolean;
  /** Streams that the domain may have at once, on both sides. Default: the product's. */
  readonly concurrency?: number;
}

/** Starts both programs with files of configuration, access logs off; resolves when a visitor's request was answered. */
export async function startBackdial(options: BackdialOptions): Promise<Backdial> {
  const scratch = new Scratch('backdial');
  const [httpsPort, tcpPort] = [await freePort(), await freePort()];
  const { certFile, keyFile } = testCertificate();
  const dialledPort = (await options.through?.(httpsPort)) ?? httpsPort;
  const secret = 'a secret of the benches';
  const common = { domains: 'domains', state: 'state', log: { level: 'warn', system: 'console', access: null } };
  const json = (value: unknown): string => JSON.stringify(value, null, 2);
  // What only HTTP can ask for keeps a domain from having TCP ports.
  const bounds = options.concurrency === undefined ? {} : { concurrency: options.concurrency };
  const tls = options.passthrough === true ? { tls: 'passthrough' } : {};
  const listen = [`127.0.0.1:${tcpPort}`];
  const domainFile = { active: true, secret, listen, ...tls, ...bounds, ...options.domainKeys };
  for (const [name, text] of Object.entries(options.serverFiles ?? {})) scratch.write(`server/${name}`, text);
  scratch.write(`server/domains/${DOMAIN}.json5`, json(domainFile));
  const serverFile = scratch.write(
    'server/server.json5',
    json({
      ...common,
      listen: [`127.0.0.1:${httpsPort}`],
      certificates: [{ hosts: ['*'], cert: certFile, key: keyFile }],
      ...options.serverKeys,
    }),
  );
  scratch.write(
    `agent/domains/${DOMAIN}.json5`,
    json({
      active: true,
      secret,
      remote: [`127.0.0.1:${dialledPort}`],
      ca: testAuthority().certFile,
      instance: 'bench',
      targets: [{ target: `tcp://127.0.0.1:${options.targetPort}` }],
      ...(options.connections === undefined ? {} : { connections: options.connections }),
      ...bounds,
    }),
  );
  const agentFile = scratch.write('agent/agent.json5', json({ ...common, ...options.agentKeys }));

  const start = (kind: 'server' | 'agent', file: string): Program => {
    const own = kind === 'server' && options.serverProbe !== undefined ? ['--import', options.serverProbe] : [];
    const probe = options.memoryProbe === true ? ['--expose-gc', '--import', MEMORY_PROBE] : own;
    const ipc = probe.length > 0;
    return startProgram(`backdial ${kind}`, process.execPath, [...probe, MAIN, kind, '-c', file], { ipc });
  };
  const server = start('server', serverFile);
  const agent = start('agent', agentFile);
  await untilTrue(agent, 'an answer through the tunnel', async () => {
    if (server.child.exitCode !== null) throw new Error(`the server ended:\n${server.output()}`);
    const isClear = options.passthrough !== true && domainFile.listen.length > 0;
    return isClear ? answersHttp(tcpPort) : answersHttps(httpsPort);
  });
  return {
    server,
    agent,
    httpsPort,
    tcpPort,
    serverFolder: join(scratch.folder, 'server'),
    pids: [server.pid, agent.pid],
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
