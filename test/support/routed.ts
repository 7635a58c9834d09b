import { loadAgent } from '../../src/config/load-agent.ts';
import { type Agent, createAgent, createServer, type DomainOptions, Secret, type Server } from '../../src/index.ts';
import { type CurlAnswer, runCurl } from './access.ts';
import { testAuthority, testCertificate } from './certificates.ts';
import { EventLog } from './event-log.ts';
import { type FolderFiles, withFolder } from './with-folder.ts';

const SECRET = 'a secret of the tests, made for nothing else';
const DOMAIN = 'www.example.com';

export interface RoutedOptions {
  /** The keys of the agent's domain file that say where its streams go. */
  readonly keys: string;
  /** Further files in the folder of that file. */
  readonly files?: FolderFiles;
  readonly serverDomain?: Partial<DomainOptions>;
}

/** A server, and an agent whose domain is configured by a file. */
export interface RoutedKit {
  /** Of the front door. */
  readonly port: number;
  /** Of the domain's TCP way in. */
  readonly tcp: number;
  /** Of the forward proxy. */
  readonly proxy: number;
  readonly server: Server;
  readonly agent: Agent;
  readonly serverEvents: EventLog;
  readonly agentEvents: EventLog;
  curl(path: string, ...flags: string[]): Promise<CurlAnswer>;
  /** What the target said, as JSON. */
  ask<T>(path: string, ...flags: string[]): Promise<T>;
  /** Goes over to other keys, live. */
  change(keys: string): Promise<void>;
  /** A further instance, with the same keys or others; closed with the kit. */
  addAgent(instance: string, keys?: string): Promise<Agent>;
}

/** Starts all that for `body`, and closes it whatever happens. */
export async function withRouted(options: RoutedOptions, body: (kit: RoutedKit) => Promise<void>): Promise<void> {
  const serverEvents = new EventLog();
  const agentEvents = new EventLog();
  const { cert, key } = testCertificate();
  const server = createServer({
    listen: [{ host: '127.0.0.1', port: 0 }],
    certificates: [{ hosts: ['*'], cert, key }],
    name: 'server.test',
    domains: [
      {
        name: DOMAIN,
        secrets: [new Secret(SECRET)],
        listen: [{ host: '127.0.0.1', port: 0 }],
        ...options.serverDomain,
      },
    ],
    proxy: { listen: [{ host: '127.0.0.1', port: 0 }] },
    observer: serverEvents.observer,
  });
  const { frontDoor, tcp, proxy } = await server.listen();
  const port = portOf(frontDoor[0]);
  const agents: Agent[] = [];
  const optionsOf = (instance: string, keys: string) => agentOptions(port, instance, { ...options, keys });
  const start = async (instance: string, keys: string, events: EventLog): Promise<Agent> => {
    const agent = createAgent({ ...(await optionsOf(instance, keys)), observer: events.observer });
    agents.push(agent);
    agent.start();
    await agent.ready;
    await serverEvents.wait('tunnel-opened', ({ tunnel }) => tunnel.instance === instance);
    return agent;
  };
  try {
    const agent = await start('one', options.keys, agentEvents);
    const curl = (path: string, ...flags: string[]) => runCurl(port, DOMAIN, path, flags);
    await body({
      port,
      tcp: portOf(tcp[0]?.address),
      proxy: portOf(proxy[0]),
      server,
      agent,
      serverEvents,
      agentEvents,
      curl,
      ask: async (path, ...flags) => {
        const { text } = await curl(path, ...flags);
        const at = text.indexOf('\r\n\r\n{');
        if (at === -1) throw new Error(`no JSON: ${text}`);
        return JSON.parse(text.slice(at));
      },
      async change(keys) {
        await agent.apply(await optionsOf('one', keys));
      },
      addAgent: (instance, keys = options.keys) => start(instance, keys, new EventLog()),
    });
  } finally {
    await Promise.all(agents.map((agent) => agent.close({ drainMs: 0 })));
    await server.close({ drainMs: 0 });
  }
}

async function agentOptions(port: number, instance: string, { keys, files = {} }: RoutedOptions) {
  const remote = `active: true, secret: "${SECRET}", remote: "127.0.0.1:${port}", ca: "ca.pem", connections: 1`;
  const all: FolderFiles = {
    'agent.json5': '{}',
    'domains/ca.pem': testAuthority().cert,
    [`domains/${DOMAIN}.json5`]: `{ ${remote}, instance: "${instance}",\n${keys}\n}`,
    ...Object.fromEntries(Object.entries(files).map(([name, content]) => [`domains/${name}`, content])),
  };
  const loaded = await withFolder(all, (folder) => loadAgent(`${folder}/agent.json5`));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.config.options;
}

function portOf(address: { port: number } | { path: string } | undefined): number {
  if (address === undefined || !('port' in address)) throw new Error('not listening on a TCP port');
  return address.port;
}
