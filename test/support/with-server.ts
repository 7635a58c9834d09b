import { Secret } from '../../src/core/secret.ts';
import { type ApplyResult, createServer, type Server, type ServerOptions } from '../../src/index.ts';
import { testCertificate } from './certificates.ts';
import { EventLog } from './event-log.ts';

/** A running server, as tests of agents need it. */
export interface TestServer {
  readonly server: Server;
  /** Of the first front door. */
  readonly port: number;
  readonly events: EventLog;
  /** Goes over to what `options` says, and what it was started with. */
  apply(options: Partial<ServerOptions>): Promise<ApplyResult>;
  close(): Promise<void>;
}

/** Starts a server that knows `www.test` and whatever `options` add, on a port of its own unless one is given. */
export async function startServer(options: Partial<ServerOptions> = {}, port = 0): Promise<TestServer> {
  const events = new EventLog();
  const { cert, key } = testCertificate();
  const given: ServerOptions = {
    listen: [{ host: '127.0.0.1', port }],
    certificates: [{ hosts: ['*'], cert, key }],
    domains: [{ name: 'www.test', secrets: [new Secret('a secret of enough bytes')] }],
    name: 'node-1',
    observer: events.observer,
    ...options,
  };
  const server = createServer(given);
  const [address] = (await server.listen()).frontDoor;
  if (address === undefined || 'path' in address) throw new Error('the server has no TCP front door');
  return {
    server,
    port: address.port,
    events,
    apply: (more) => server.apply({ ...given, listen: [address], ...more }),
    close: () => server.close({ drainMs: 0 }),
  };
}

/** Runs a server while `body` does. */
export async function withServer(
  options: Partial<ServerOptions>,
  body: (server: TestServer) => Promise<void>,
): Promise<void> {
  const server = await startServer(options);
  try {
    await body(server);
  } finally {
    await server.close();
  }
}
