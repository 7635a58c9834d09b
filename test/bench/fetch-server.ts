import net from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Carrier } from '../../src/core/dial.ts';
import { createServer, Secret, type ServerOptions } from '../../src/index.ts';
import { pinOf } from '../../src/net/pin.ts';
import { DomainTable } from '../../src/server/domain-table.ts';
import { FailureLimiter } from '../../src/server/failure-limiter.ts';
import { createHttpsWay } from '../../src/server/https-way.ts';
import { resolveServerOptions } from '../../src/server/resolve-options.ts';
import { createSecretChecker } from '../../src/server/secret-check.ts';
import { AccessControl } from '../../src/server/visitor-access.ts';
import { testCertificate } from '../support/certificates.ts';
import { listenOn } from '../support/listen-on.ts';
import { DOMAIN } from './backdial.ts';
import { fetchFor, socketDispatcher } from './fetch-load.ts';
import type { FetchGreeting, FetchOrder } from './fetch-words.ts';
import { SECRET } from './library-words.ts';

// A server that fetches through its own dispatcher, and whose HTTPS way in can be visited without TLS.
const { cert, key } = testCertificate();
const options: ServerOptions = {
  listen: [{ host: '127.0.0.1', port: 0 }],
  certificates: [{ hosts: ['*'], cert, key }],
  domains: [{ name: DOMAIN, secrets: [new Secret(SECRET)] }],
};
const server = createServer(options);
const [address] = (await server.listen()).frontDoor;
if (address === undefined || !('port' in address)) throw new Error('not listening on a TCP port');

/** The HTTPS way in from the end of the TLS handshake on, over the same tunnels. */
async function listenInTheClear(): Promise<number> {
  const resolved = resolveServerOptions(options);
  const domains = new DomainTable(resolved.domains);
  const carrier: Carrier = {
    id: 'all tunnels',
    domain: DOMAIN,
    instance: 'bench',
    streamPerVisitor: false,
    timeouts: { readMs: 60_000, writeMs: 20_000 },
    epoch: 0,
    usable: true,
    leaving: new AbortController().signal,
    open: (authority, dial) => server.dial(authority, dial),
  };
  const way = createHttpsWay({
    options: resolved,
    domains: () => domains,
    carriers: { pick: () => carrier, serves: () => true },
    access: new AccessControl({ secrets: createSecretChecker(), limiter: new FailureLimiter() }),
    onService: () => Promise.resolve(false),
  });
  const listener = net.createServer({ noDelay: true, allowHalfOpen: true }, (raw) => {
    raw.on('error', () => {});
    const acceptedAt = performance.now();
    const remote = `127.0.0.1:${raw.remotePort}`;
    const connection = {
      raw,
      remote,
      acceptedAt,
      name: DOMAIN,
      door: '',
      clientAuthorities: null,
      clientSubject: null,
    };
    // Nothing behind this point asks for more than a socket.
    way.accept(raw as TLSSocket, connection);
  });
  return listenOn(listener);
}

const clearPort = await listenInTheClear();
const dispatchers = { dispatcher: server.dispatcher(), sockets: socketDispatcher() };
process.on('message', (order: FetchOrder) => {
  void fetchFor(order, dispatchers[order.through]).then((count) => process.send?.(count));
});
process.on('disconnect', () => process.exit());
process.send?.({ port: address.port, pin: pinOf(cert), clearPort } satisfies FetchGreeting);
