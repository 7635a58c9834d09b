import type { TestContext } from 'node:test';
import tls, { type TLSSocket } from 'node:tls';
import { BackdialError } from '../../src/core/errors.ts';
import { DomainTable } from '../../src/server/domain-table.ts';
import { createFrontDoor, type FrontDoor } from '../../src/server/front-door.ts';
import { HelloRouter } from '../../src/server/hello-route.ts';
import { HostsFolder } from '../../src/server/hosts-folder.ts';
import type { ServerOptions } from '../../src/server/options.ts';
import { resolveServerOptions } from '../../src/server/resolve-options.ts';
import { createTlsWay } from '../../src/server/tls-way.ts';
import type { VisitorConnection } from '../../src/server/visitor.ts';
import { testCertificate } from './certificates.ts';
import { Observed } from './observed.ts';
import { startRawTarget } from './raw-target.ts';

export interface Visitor {
  readonly tlsSocket: TLSSocket;
  readonly connection: VisitorConnection;
}

export interface StartedFrontDoor {
  readonly frontDoor: FrontDoor;
  readonly port: number;
  readonly told: Observed;
  readonly visitors: readonly Visitor[];
}

/** A front door on a free port that echoes what its visitors send; closed after the test. Answers `*.example.com` unless told. */
export async function startFrontDoor(
  t: TestContext,
  given: Partial<ServerOptions> = {},
  onVisitor: (visitor: Visitor) => void = ({ tlsSocket }) => void tlsSocket.pipe(tlsSocket),
): Promise<StartedFrontDoor> {
  const told = new Observed();
  const { cert, key } = testCertificate();
  const options = resolveServerOptions({
    listen: [{ host: '127.0.0.1', port: 0 }],
    certificates: [{ hosts: ['*.example.com'], cert, key }],
    domains: [],
    observer: told.observer,
    ...given,
  });
  const visitors: Visitor[] = [];
  const table = new DomainTable(options.domains);
  const domains = () => table;
  const router = new HelloRouter({
    domains,
    access: { of: () => ({ refusal: () => null }) },
    serves: () => true,
    hosts: new HostsFolder(() => options.sni),
  });
  const dialer = { openDomain: () => Promise.reject(new BackdialError('domain-unserved')) };
  const frontDoor = createFrontDoor({
    options,
    domains,
    route: (given, remote, certificates) => router.route(given, remote, certificates),
    passthrough: createTlsWay({ options, dialer }),
    onVisitor(tlsSocket, connection) {
      visitors.push({ tlsSocket, connection });
      onVisitor({ tlsSocket, connection });
    },
  });
  t.after(() => frontDoor.close());
  const [address] = await frontDoor.listen();
  if (address === undefined || !('port' in address)) throw new Error('no TCP address');
  return { frontDoor, port: address.port, told, visitors };
}

/** The ClientHello that Node sends as a client of `a.example.com`. */
export async function captureHello(t: TestContext): Promise<Buffer> {
  const target = await startRawTarget();
  t.after(() => target.close());
  const client = tls.connect({ port: target.port, host: '127.0.0.1', servername: 'a.example.com' });
  client.on('error', () => {});
  const peer = await target.next();
  await peer.received(100);
  client.destroy();
  return peer.bytes;
}
