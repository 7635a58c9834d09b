import { createServer, type DomainOptions, type Server, type ServerOptions } from '../../src/index.ts';
import { testCertificate } from './certificates.ts';
import { EventLog } from './event-log.ts';
import { DOMAIN } from './with-tunnel.ts';

/** A server without any agent. */
export interface BackendServer {
  readonly server: Server;
  readonly frontDoor: number;
  /** Port of the domain's own listener; 0 where it has none. */
  readonly tcp: number;
  readonly events: EventLog;
  /** With what it was made, for `apply`. */
  readonly options: ServerOptions;
  close(): Promise<void>;
}

/** Starts a server of one domain without a secret, {@link DOMAIN}; none where `domain` is null. */
export async function startBackendServer(
  domain: Partial<DomainOptions> | null,
  more: Partial<ServerOptions> = {},
): Promise<BackendServer> {
  const events = new EventLog();
  const { cert, key } = testCertificate();
  const options: ServerOptions = {
    listen: [{ host: '127.0.0.1', port: 0 }],
    certificates: [{ hosts: ['*'], cert, key }],
    domains: domain === null ? [] : [{ name: DOMAIN, secrets: [], ...domain }],
    name: 'server.test',
    observer: events.observer,
    ...more,
  };
  const server = createServer(options);
  const { frontDoor, tcp } = await server.listen();
  const [door, own] = [frontDoor[0], tcp[0]?.address];
  if (door === undefined || !('port' in door)) throw new Error('not listening on a TCP port');
  return {
    server,
    frontDoor: door.port,
    tcp: own !== undefined && 'port' in own ? own.port : 0,
    events,
    options,
    close: () => server.close({ drainMs: 0 }),
  };
}
