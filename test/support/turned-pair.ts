import { once } from 'node:events';
import { createServer, connect as netConnect, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { type AgentTunnel, type IncomingStream, serveTunnel } from '../../src/tunnel/agent-session.ts';
import { MemoryBudget } from '../../src/tunnel/memory-budget.ts';
import { ServerTunnel } from '../../src/tunnel/server-session.ts';
import { type LivenessOptions, SERVER_LIVENESS } from '../../src/tunnel/types.ts';
import { testAuthority, testCertificate } from './certificates.ts';

/** Both ends of one tunnel over real TLS on loopback, without any handshake of Backdial. */
export interface TurnedPair {
  readonly server: ServerTunnel;
  readonly agent: AgentTunnel;
  /** The sockets below TLS: to cut the link. */
  readonly serverRaw: Socket;
  readonly agentRaw: Socket;
  readonly serverTls: TLSSocket;
  close(): void;
}

/** Makes a tunnel whose streams go to `onStream`. */
export async function turnedPair(
  onStream: (stream: IncomingStream) => void,
  options: {
    memoryBytes?: number;
    /** The server's; default: one of its own with `memoryBytes` for the tunnel. */
    budget?: MemoryBudget;
    concurrency?: number;
    liveness?: LivenessOptions;
    /** Default 2,000. */
    dialTimeoutMs?: number;
    through?: (port: number) => Promise<number>;
  } = {},
): Promise<TurnedPair> {
  const { serverRaw, agentRaw, serverTls, agentTls } = await tlsPair(options.through);
  const liveness = options.liveness ?? SERVER_LIVENESS;
  const limits = { tunnelMemoryBytes: options.memoryBytes ?? 67_108_864, memoryBytes: 536_870_912 };
  const budget = options.budget ?? new MemoryBudget(limits);
  const concurrency = options.concurrency ?? 1000;
  const agent = serveTunnel(agentTls, { concurrency, liveness, budget: new MemoryBudget(limits), onStream });
  const info = { id: 't1', domain: 'www.test', instance: 'one', slot: 0, remote: '127.0.0.1:1', node: 'here' };
  const server = new ServerTunnel(serverTls, {
    info,
    streamPerVisitor: false,
    liveness,
    dialTimeoutMs: options.dialTimeoutMs ?? 30_000,
    budget,
  });
  return {
    server,
    agent,
    serverRaw,
    agentRaw,
    serverTls,
    close() {
      server.destroy();
      agent.destroy();
      serverRaw.destroy();
      agentRaw.destroy();
    },
  };
}

/** Both ends of one TLS connection on loopback. `through`: the port of what leads to another. */
export async function tlsPair(through?: (port: number) => Promise<number>) {
  const { cert, key } = testCertificate();
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as { port: number };
  const agentRaw = netConnect((await through?.(port)) ?? port, '127.0.0.1');
  agentRaw.on('error', () => {});
  const [serverRaw] = (await once(listener, 'connection')) as [Socket];
  serverRaw.on('error', () => {});
  listener.close();
  const tlsServer = createTlsServer({ cert, key });
  tlsServer.emit('connection', serverRaw);
  const agentTls = tlsConnect({ socket: agentRaw, ca: testAuthority().cert, servername: 'localhost' });
  agentTls.on('error', () => {});
  const [secured] = await Promise.all([once(tlsServer, 'secureConnection'), once(agentTls, 'secureConnect')]);
  const serverTls = secured[0] as TLSSocket;
  serverTls.on('error', () => {});
  return { serverRaw, agentRaw, serverTls, agentTls };
}
