import { isIPv4, isIPv6 } from 'node:net';
import { parseHostPort } from '../core/address.ts';

/** Which form of the PROXY protocol: a line of text, or binary. */
export type ProxyVersion = 1 | 2;

/** One end of a connection. */
export interface ProxyEndpoint {
  /** IPv4 or IPv6. */
  readonly address: string;
  readonly port: number;
}

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
/** Version 2, command PROXY. */
const PROXY = 0x21;
/** Version 2, command LOCAL: every receiver has to take it, but a PROXY without ends is one that HAProxy refuses. */
const LOCAL = 0x20;
const TCP4 = 0x11;
const TCP6 = 0x21;
const UNSPECIFIED = 0x00;
const HTTPS_PORT = 443;

/**
 * The header (proxy-protocol.txt of HAProxy, sections 2.1 and 2.2) that goes in front of all else on a TCP connection and
 * says whose bytes follow. `source` null, or two ends of different families: the header says that the ends are not known,
 * so that the receiver takes those of the connection itself.
 */
export function proxyHeader(version: ProxyVersion, source: ProxyEndpoint | null, destination: ProxyEndpoint): Buffer {
  const family = source === null ? null : familyOf(source, destination);
  if (source === null || family === null)
    return version === 1 ? Buffer.from('PROXY UNKNOWN\r\n') : binary(LOCAL, UNSPECIFIED, []);
  if (version === 1) {
    const ends = `${withoutZone(source.address)} ${withoutZone(destination.address)} ${source.port} ${destination.port}`;
    return Buffer.from(`PROXY ${family === TCP4 ? 'TCP4' : 'TCP6'} ${ends}\r\n`);
  }
  const addressBytes = family === TCP4 ? bytesOfIPv4 : bytesOfIPv6;
  return binary(PROXY, family, [
    addressBytes(source.address),
    addressBytes(destination.address),
    bytesOfPort(source.port),
    bytesOfPort(destination.port),
  ]);
}

/** The ends of a visitor's connection as they are known; null: not at all. */
export interface VisitorEnds {
  /** `ip:port`, or `unix`. */
  readonly visitor: string | null;
  /** Where it came to, `ip:port`, or `unix`. */
  readonly arrivedAt: string | null;
  /** Its port, where that is all that is known of it. Default 443. */
  readonly port?: number | undefined;
}

/**
 * The header that tells a target who its visitor is. The address that the visitor came to is left at zero when it is not
 * known in the visitor's family: the source is what counts.
 */
export function visitorHeader(version: ProxyVersion, { visitor, arrivedAt, port = HTTPS_PORT }: VisitorEnds): Buffer {
  const source = endpointOf(visitor);
  const known = endpointOf(arrivedAt);
  if (source !== null && known !== null && familyOf(source, known) !== null) return proxyHeader(version, source, known);
  const address = source !== null && isIPv6(source.address) ? '::' : '0.0.0.0';
  return proxyHeader(version, source, { address, port: known?.port ?? port });
}

function endpointOf(peer: string | null): ProxyEndpoint | null {
  const parsed = peer === null ? null : parseHostPort(peer);
  return parsed === null ? null : { address: parsed.host, port: parsed.port };
}

function familyOf(source: ProxyEndpoint, destination: ProxyEndpoint): typeof TCP4 | typeof TCP6 | null {
  if (isIPv4(source.address) && isIPv4(destination.address)) return TCP4;
  return isIPv6(source.address) && isIPv6(destination.address) ? TCP6 : null;
}

function binary(command: number, family: number, parts: readonly Buffer[]): Buffer {
  const ends = Buffer.concat(parts);
  const head = Buffer.from([command, family, ends.length >> 8, ends.length & 0xff]);
  return Buffer.concat([SIGNATURE, head, ends]);
}

function bytesOfIPv4(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

/** A zone is this machine's own, and no receiver takes it. */
function withoutZone(address: string): string {
  return address.replace(/%.*/, '');
}

/** Any form of RFC 4291, section 2.2. */
function bytesOfIPv6(address: string): Buffer {
  const plain = withoutZone(address);
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(plain);
  const hex =
    dotted === null
      ? plain
      : `${dotted[1]}${bytesOfIPv4(dotted[2] ?? '')
          .toString('hex')
          .replace(/^.{4}/, '$&:')}`;
  const [before = '', after] = hex.split('::');
  const first = before === '' ? [] : before.split(':');
  const last = after === undefined || after === '' ? [] : after.split(':');
  const groups = [...first, ...Array<string>(8 - first.length - last.length).fill('0'), ...last];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function bytesOfPort(port: number): Buffer {
  return Buffer.from([port >> 8, port & 0xff]);
}
