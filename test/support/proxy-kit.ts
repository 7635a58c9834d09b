import { once } from 'node:events';
import * as http from 'node:http';
import {
  type AgentDomainOptions,
  createAgent,
  createServer,
  type IdentityOptions,
  Secret,
  type Server,
  type ServerOptions,
} from '../../src/index.ts';
import { testCertificate } from './certificates.ts';
import { type EchoTarget, startEchoTarget } from './echo-target.ts';
import { EventLog } from './event-log.ts';
import { closerOf, listenOn } from './listen-on.ts';
import { connectWire, type Wire } from './sockets.ts';
import { testDomain } from './with-agent.ts';
import { eventually } from './within.ts';

export const DOMAIN_SECRET = new Secret('a secret of enough bytes');
export const CI_SECRET = new Secret('the secret of the identity');

/** A server with a proxy, an agent `one` for `www.test`, with an HTTP target and echo targets at its ports 22 and 23. */
export interface ProxyKit {
  readonly server: Server;
  readonly events: EventLog;
  /** Of the front door. */
  readonly port: number;
  readonly proxyPort: number;
  /** A connection to the front door (TLS), or to the proxy's own listener. */
  wire(where: 'front-door' | 'proxy'): Promise<Peer>;
  apply(options: Partial<ServerOptions>): Promise<void>;
}

/** A connection of a test that reads what it gets. */
export interface Peer extends Wire {
  /** All that came so far. */
  text(): string;
  /** Resolves when what came contains the text. */
  until(text: string): Promise<string>;
  /** Resolves with all that came when the other side has ended, or was cut. */
  ended(): Promise<string>;
  /** True when a reset came. */
  wasReset(): boolean;
}

export const basic = (login: string, secret: Secret | string) =>
  `Proxy-Authorization: Basic ${Buffer.from(`${login}:${secret instanceof Secret ? secret.reveal() : secret}`).toString('base64')}`;

export const CI: IdentityOptions = {
  identity: 'ci',
  secrets: [CI_SECRET],
  connect: [
    { name: 'www.test', ports: null },
    { name: 'unserved.test', ports: null },
    { name: 'unknown.test', ports: null },
  ],
};

export async function withProxy(
  options: Partial<ServerOptions>,
  body: (kit: ProxyKit) => Promise<void>,
  agentOptions: Partial<AgentDomainOptions> = {},
): Promise<void> {
  const events = new EventLog();
  const { cert, key } = testCertificate();
  const base: ServerOptions = {
    listen: [{ host: '127.0.0.1', port: 0 }],
    certificates: [{ hosts: ['*'], cert, key }],
    name: 'node-1',
    domains: [
      { name: 'www.test', secrets: [DOMAIN_SECRET] },
      { name: 'unserved.test', secrets: [DOMAIN_SECRET] },
    ],
    proxy: { listen: [{ host: '127.0.0.1', port: 0 }] },
    grants: [CI],
    ...options,
  };
  const server = createServer({ ...base, observer: events.observer });
  const target = http.createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => response.end(`${request.method} ${request.url} ${request.headers.host} [${body}]`));
  });
  target.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  const closeTarget = closerOf(target);
  const targets: EchoTarget[] = [];
  const peers: Peer[] = [];
  try {
    const { frontDoor, proxy } = await server.listen();
    const [port, proxyPort] = [portOf(frontDoor[0]), portOf(proxy[0])];
    targets.push(await startEchoTarget('port 22 '), await startEchoTarget('port 23 '));
    const http = { kind: 'tcp', host: '127.0.0.1', port: await listenOn(target) } as const;
    const agent = createAgent({
      domains: [
        testDomain({
          remote: [`127.0.0.1:${port}`],
          target: http,
          ports: Object.fromEntries(targets.map(({ address }, index) => [22 + index, address])),
          ...agentOptions,
        }),
      ],
    });
    try {
      agent.start();
      await events.until('tunnel-opened');
      await body({
        server,
        events,
        port,
        proxyPort,
        async wire(where) {
          const isDoor = where === 'front-door';
          const wire = await connectWire(isDoor ? port : proxyPort, isDoor ? { tls: true, alpn: ['http/1.1'] } : {});
          const peer = peerOf(wire);
          peers.push(peer);
          return peer;
        },
        async apply(next) {
          const { failures } = await server.apply({ ...base, ...next });
          if (failures.length > 0) throw failures[0];
        },
      });
    } finally {
      for (const { raw } of peers) raw.destroy();
      await agent.close({ drainMs: 0 });
    }
  } finally {
    await server.close({ drainMs: 0 });
    await closeTarget();
    for (const each of targets) each.close();
  }
}

function peerOf(wire: Wire): Peer {
  let text = '';
  let reset = false;
  wire.stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  wire.raw.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNRESET') reset = true;
  });
  const over = Promise.race([once(wire.stream, 'end'), once(wire.stream, 'close')]).catch(() => {});
  return {
    ...wire,
    text: () => text,
    async until(wanted) {
      await eventually(`${wanted} in ${text}`, () => text.includes(wanted));
      return text;
    },
    async ended() {
      await over;
      return text;
    },
    wasReset: () => reset,
  };
}

function portOf(address: { port: number } | { path: string } | undefined): number {
  if (address === undefined || !('port' in address)) throw new Error('not listening on a TCP port');
  return address.port;
}
