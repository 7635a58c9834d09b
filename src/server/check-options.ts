import type { Network, SocketOwner } from '../core/address.ts';
import type { PortRange } from '../core/connect-grant.ts';
import * as shape from '../core/shape.ts';
import type {
  CertificateOptions,
  ClientOptions,
  ConnectGrant,
  CredentialOptions,
  DestinationGrant,
  DomainOptions,
  FrontDoorListener,
  GrantOptions,
  IdentityOptions,
  ProxyOptions,
  ServerOptions,
  SniOptions,
} from './options.ts';

const { byKey, either, flag, func, list, number, object, oneOf, orNull, record, secret, text } = shape;

const texts = list(text);
const secrets = list(secret);
const network = object<Network>({ address: text, prefix: number }, ['address', 'prefix']);
const networks = list(network);
const ports = object<PortRange>({ first: number, last: number }, ['first', 'last']);

const hostPort = object<{ host: string; port: number }>({ host: text, port: number }, ['host', 'port']);
const unixPath = object<{ path: string }>({ path: text }, ['path']);
const socketAddress = either('{ host, port } or { path }', hostPort, unixPath);
const listenAddress = either(
  '{ host, port }, { path }, { fd } or { systemd }',
  hostPort,
  unixPath,
  object<{ fd: number }>({ fd: number }, ['fd']),
  object<{ systemd: string }>({ systemd: text }, ['systemd']),
);

const certificate = object<CertificateOptions>({ hosts: texts, cert: text, key: text }, ['hosts', 'cert', 'key']);
const owner = object<SocketOwner>({ uid: orNull(number), gid: orNull(number) }, ['uid', 'gid']);
const frontDoor = object<FrontDoorListener>(
  {
    address: listenAddress,
    certificates: list(certificate),
    proxyProtocol: networks,
    mode: orNull(number),
    owner: orNull(owner),
  },
  ['address'],
);

const credential = object<CredentialOptions>({ login: text, password: secret }, ['login', 'password']);
const clients = object<ClientOptions>({
  networks,
  ranges: texts,
  credentials: list(credential),
  banner: text,
  certificates: orNull(text),
});

const destination = object<DestinationGrant>(
  { host: either('a host name or { address, prefix }', text, network), ports: orNull(ports) },
  ['host', 'ports'],
);
const connect = object<ConnectGrant>({ name: text, ports: orNull(ports) }, ['name', 'ports']);
const grantKeys = { domains: texts, ports: list(ports), destinations: list(destination), connect: list(connect) };
const identity = object<IdentityOptions>({ ...grantKeys, identity: text, secrets, certificate: orNull(text) }, [
  'identity',
]);

const domain = object<DomainOptions>(
  {
    name: text,
    secrets,
    certificates: orNull(text),
    tls: oneOf('terminate', 'passthrough'),
    target: orNull(socketAddress),
    proxyProtocol: oneOf(1, 2, null),
    networks,
    forward: networks,
    grants: object<GrantOptions>(grantKeys),
    clients,
    listen: list(socketAddress),
    concurrency: number,
    balance: oneOf('round-robin', 'least-streams', 'random'),
    maxBodyBytes: number,
    transaction: flag,
    unavailableStatus: number,
  },
  ['name', 'secrets'],
);

/**
 * What of server options is not what the types say, each in one line: nobody has checked that for JavaScript. Domains that
 * `isKnown` are left out.
 */
export function serverShapeProblems(given: unknown, isKnown: (domain: object) => boolean): readonly string[] {
  const server = object<ServerOptions>(
    {
      listen: list(byKey('address', frontDoor, listenAddress)),
      sockets: record(list(number)),
      certificates: list(certificate),
      domains: list((value, path) => (isKnown(value as object) ? [] : domain(value, path))),
      inactive: texts,
      name: text,
      service: text,
      maxHeaderBytes: number,
      maxBodyBytes: number,
      idleTimeoutMs: number,
      readTimeoutMs: number,
      writeTimeoutMs: number,
      maxConnections: number,
      maxConnectionsPerAddress: number,
      unavailableStatus: number,
      transaction: flag,
      grants: list(identity),
      proxy: orNull(object<ProxyOptions>({ listen: list(socketAddress), credentials: list(credential) }, ['listen'])),
      redirect: list(listenAddress),
      sni: orNull(object<SniOptions>({ hosts: text, hashed: flag }, ['hosts'])),
      tunnelMemoryBytes: number,
      memoryBytes: number,
      drainMs: number,
      observer: func,
    },
    ['listen', 'certificates', 'domains'],
  );
  return server(given, '');
}
