import { execFile } from 'node:child_process';
import * as http from 'node:http';
import { connect } from 'node:tls';
import { loadServer } from '../../src/config/load-server.ts';
import { createAgent, createServer, Secret, type Server, type TargetAddress } from '../../src/index.ts';
import { testAuthority, testCertificate } from './certificates.ts';
import { EventLog } from './event-log.ts';
import { closerOf, listenOn } from './listen-on.ts';
import { findTool } from './tools.ts';
import { type FolderFiles, withFolder } from './with-folder.ts';
import { within } from './within.ts';

const SECRET = 'a secret of the tests, made for nothing else';

/** A request as the target got it. */
export interface SeenRequest {
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly rawHeaders: readonly string[];
  /** All values of a header, by its name in lower case. */
  values(name: string): string[];
}

export interface AccessOptions {
  /** The keys of each domain's file, beside `active` and `secret`; null: the domain has an inactive file. */
  readonly domains: Readonly<Record<string, string | null>>;
  /** Domains that the agent does not serve. */
  readonly unserved?: readonly string[];
  /** Further files of the folder, beside the domains' files (`domains/ca.pem`) or elsewhere. */
  readonly files?: FolderFiles;
  /** Instance of the agent. Default `one`. */
  readonly instance?: string;
}

/** What curl got. */
export interface CurlAnswer {
  /** curl's exit code. */
  readonly code: number;
  /** Of the last response; 0 without one. */
  readonly status: number;
  /** Heads and bodies, as they came. */
  readonly text: string;
}

/** A server with files, an agent, and an HTTP target, in this process. */
export interface AccessKit {
  readonly server: Server;
  readonly events: EventLog;
  readonly port: number;
  /** Of each domain that has `listen`. */
  readonly tcp: ReadonlyMap<string, number>;
  /** What reached the target. */
  readonly seen: SeenRequest[];
  curl(host: string, path: string, ...flags: string[]): Promise<CurlAnswer>;
  /** Sends bytes on a TLS connection of their own and gives all that came back until its end. */
  raw(sni: string | null, bytes: string): Promise<string>;
}

/** Starts all that, with the configuration read from files, and closes it whatever happens. */
export async function withAccess(options: AccessOptions, body: (kit: AccessKit) => Promise<void>): Promise<void> {
  const loaded = await withFolder(filesOf(options), (folder) => loadServer(`${folder}/server.json5`));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const events = new EventLog();
  const server = createServer({ ...loaded.config.options, observer: events.observer });
  const seen: SeenRequest[] = [];
  const target = http.createServer((request, response) => {
    seen.push(seenOf(request));
    response.end('from the target');
  });
  target.on('upgrade', (request, socket) => {
    seen.push(seenOf(request));
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  const closeTarget = closerOf(target);
  try {
    const addresses = await server.listen();
    const port = portOf(addresses.frontDoor[0]);
    const address = { kind: 'tcp', host: '127.0.0.1', port: await listenOn(target) } as const;
    const agent = await startAgent(options, port, address, events);
    try {
      const tcp = new Map(addresses.tcp.map(({ domain, address: at }) => [domain, portOf(at)]));
      const curl = (host: string, path: string, ...flags: string[]) => runCurl(port, host, path, flags);
      await body({ server, events, port, tcp, seen, curl, raw: (sni, bytes) => exchange(port, sni, bytes) });
    } finally {
      await agent.close({ drainMs: 0 });
    }
  } finally {
    await server.close({ drainMs: 0 });
    await closeTarget();
  }
}

function filesOf({ domains, files = {} }: AccessOptions): FolderFiles {
  const { cert, key } = testCertificate();
  const all: Record<string, FolderFiles[string]> = {
    'server.json5': `{ listen: "127.0.0.1:0", name: "server.test", certificates: { hosts: "*", cert: "cert", key: "key" } }`,
    cert,
    key,
    ...files,
  };
  for (const [name, keys] of Object.entries(domains)) {
    const text = keys === null ? '{}' : `{ active: true, secret: "${SECRET}",\n${keys}\n}`;
    all[`domains/${name.replace('*', '_')}.json5`] = text;
  }
  return all;
}

async function startAgent(options: AccessOptions, port: number, target: TargetAddress, events: EventLog) {
  const { domains, unserved = [], instance = 'one' } = options;
  const names = Object.keys(domains).filter((name) => domains[name] !== null && !unserved.includes(name));
  const agent = createAgent({
    domains: names.map((name) => ({
      name,
      secret: new Secret(SECRET),
      remote: [`127.0.0.1:${port}`],
      ca: testAuthority().cert,
      instance,
      connections: 1,
      target,
    })),
  });
  agent.start();
  for (const name of names) await events.wait('tunnel-opened', ({ tunnel }) => tunnel.domain === name);
  return agent;
}

/** What is told of a request. */
export function seenOf({ method = '', url = '', rawHeaders }: http.IncomingMessage): SeenRequest {
  const values = (name: string) =>
    rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name);
  return { host: values('host').join(), method, path: url, rawHeaders, values };
}

/** Runs curl for a host of the front door at `port`. */
export function runCurl(port: number, host: string, path: string, flags: readonly string[]): Promise<CurlAnswer> {
  const base = ['--silent', '--include', '--noproxy', '*', '--max-time', '60', '--cacert', testAuthority().certFile];
  const args = [...base, '--connect-to', `::127.0.0.1:${port}`, ...flags, `https://${host}${path}`];
  return new Promise((resolve) => {
    execFile(findTool('curl'), args, { encoding: 'latin1' }, (error, text) => {
      const status = Number(Array.from(text.matchAll(/^HTTP\/[\d.]+ (\d+)/gm)).at(-1)?.[1] ?? 0);
      resolve({ code: error === null ? 0 : Number(error.code), status, text });
    });
  });
}

function exchange(port: number, sni: string | null, bytes: string): Promise<string> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    ca: testAuthority().cert,
    ALPNProtocols: ['http/1.1'],
    checkServerIdentity: () => undefined,
    ...(sni === null ? {} : { servername: sni }),
  });
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.on('secureConnect', () => socket.write(bytes, 'latin1'));
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on('error', () => resolve(text));
  socket.on('close', () => resolve(text));
  return within('the end of the exchange', promise).finally(() => socket.destroy());
}

function portOf(address: { port: number } | { path: string } | undefined): number {
  if (address === undefined || !('port' in address)) throw new Error('not listening on a TCP port');
  return address.port;
}
