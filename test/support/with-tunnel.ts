import {
  type Agent,
  type AgentDomainOptions,
  type AgentOptions,
  createAgent,
  createServer,
  type DomainOptions,
  Secret,
  type Server,
  type ServerOptions,
  type TargetAddress,
} from '../../src/index.ts';
import { testAuthority, testCertificate } from './certificates.ts';
import { EventLog } from './event-log.ts';
import { FaultyLink, type LinkOptions } from './faulty-link.ts';
import { within } from './within.ts';

/** The domain that {@link openTunnel} serves, over HTTPS and on a TCP port of its own. */
export const DOMAIN = 'www.example.com';
export const SECRET = 'a secret of the tests, made for nothing else';

export interface TunnelOptions {
  /** The port of a target on the loopback address, or any target. */
  readonly target: number | TargetAddress;
  /** Puts a faulty link between agent and server. */
  readonly link?: LinkOptions;
  /** Default 1, so that a test knows which tunnel it is about. */
  readonly connections?: number;
  readonly server?: Partial<ServerOptions>;
  readonly domain?: Partial<DomainOptions>;
  readonly agent?: Partial<AgentOptions>;
  readonly agentDomain?: Partial<AgentDomainOptions>;
}

/** A server and an agent that has all its tunnels, in this process, driven through the library's face. */
export interface Tunnel {
  readonly server: Server;
  readonly agent: Agent;
  /** Port of the front door. */
  readonly frontDoor: number;
  /** Port of the domain's TCP way in. */
  readonly tcp: number;
  /** Between agent and server; fails where the options asked for none. */
  readonly link: FaultyLink;
  readonly serverEvents: EventLog;
  readonly agentEvents: EventLog;
  /** A further agent of the same domain, with its tunnels. Closed with the tunnel. */
  addAgent(instance: string, target?: number | TargetAddress): Promise<Agent>;
  close(): Promise<void>;
}

/** Opens a tunnel for `body` and closes it whatever happens. */
export async function withTunnel(options: TunnelOptions, body: (tunnel: Tunnel) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const tunnel = await openTunnel(options);
  stack.defer(() => tunnel.close());
  await body(tunnel);
}

/** Opens a tunnel; where that fails nothing of it stays open. */
export async function openTunnel(options: TunnelOptions): Promise<Tunnel> {
  await using stack = new AsyncDisposableStack();
  let link: FaultyLink | null = null;
  stack.defer(async () => link?.close());
  const serverEvents = new EventLog();
  const agentEvents = new EventLog();
  const server = createServer(serverOptions(options, serverEvents));
  stack.defer(() => server.close({ drainMs: 0 }));
  const addresses = await server.listen();
  const frontDoor = portOf(addresses.frontDoor[0]);
  if (options.link !== undefined) link = await FaultyLink.to(frontDoor, options.link);
  const agents: Agent[] = [];
  stack.defer(async () => {
    await Promise.all(agents.map((one) => one.close({ drainMs: 0 })));
  });
  const start = async (instance: string, target: TunnelOptions['target'], events: EventLog) => {
    const given = agentOptions({ ...options, target }, instance, link?.port ?? frontDoor);
    const agent = createAgent({ observer: events.observer, ...given });
    agents.push(agent);
    agent.start();
    await within(`the tunnels of ${instance}`, allLinksUp(agent, serverEvents, instance, options.connections ?? 1));
    return agent;
  };
  const agent = await start('first', options.target, agentEvents);
  const tcp = portOf(addresses.tcp[0]?.address);
  const open = stack.move();
  return {
    server,
    agent,
    frontDoor,
    tcp,
    get link() {
      if (link === null) throw new Error('this tunnel was opened without a link');
      return link;
    },
    serverEvents,
    agentEvents,
    addAgent: (instance, target = options.target) => start(instance, target, new EventLog()),
    close: () => open.disposeAsync(),
  };
}

async function allLinksUp(agent: Agent, events: EventLog, instance: string, connections: number): Promise<void> {
  await agent.ready;
  for (let slot = 0; slot < connections; slot += 1) {
    await events.wait('tunnel-opened', ({ tunnel }) => tunnel.instance === instance && tunnel.slot === slot);
  }
}

function serverOptions(options: TunnelOptions, events: EventLog): ServerOptions {
  const { cert, key } = testCertificate();
  return {
    listen: [{ host: '127.0.0.1', port: 0 }],
    certificates: [{ hosts: ['*'], cert, key }],
    domains: [
      { name: DOMAIN, secrets: [new Secret(SECRET)], listen: [{ host: '127.0.0.1', port: 0 }], ...options.domain },
    ],
    name: 'server.test',
    observer: events.observer,
    ...options.server,
  };
}

function agentOptions(options: TunnelOptions, instance: string, port: number): AgentOptions {
  const target: TargetAddress =
    typeof options.target === 'number' ? { kind: 'tcp', host: '127.0.0.1', port: options.target } : options.target;
  return {
    domains: [
      {
        name: DOMAIN,
        secret: new Secret(SECRET),
        remote: [`127.0.0.1:${port}`],
        ca: testAuthority().cert,
        instance,
        connections: options.connections ?? 1,
        target,
        ...options.agentDomain,
      },
    ],
    ...options.agent,
  };
}

function portOf(address: { port: number } | { path: string } | undefined): number {
  if (address === undefined || !('port' in address)) throw new Error('not listening on a TCP port');
  return address.port;
}
