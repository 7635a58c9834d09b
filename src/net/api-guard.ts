import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { parseHostPort, peerAddress, type SocketAddress } from '../core/address.ts';
import { BackdialError } from '../core/errors.ts';
import { canonicalName } from '../core/host-name.ts';
import { isLocalAddress, isLoopback } from '../core/loopback.ts';
import type { Secret } from '../core/secret.ts';

/** Who may ask an API. */
export interface ApiAccess {
  /** Where it listens. */
  readonly listen: readonly SocketAddress[];
  /** What `Authorization: Bearer` must show. Null: whoever asks from this machine may. */
  readonly token: Secret | null;
  /** Names of this machine, beyond those in `listen`, by which it may be asked. */
  readonly names: readonly string[];
}

/**
 * Checks the name by which the API was asked, and the site that asks. A page of another site that a browser of this machine
 * shows can reach a loopback address, by its own name even (DNS rebinding); it cannot lie about either of the two. Fails with
 * `request-invalid` and `api-foreign`.
 */
export function checkOrigin(request: IncomingMessage, access: ApiAccess): void {
  const { host, origin } = request.headers;
  if (host === undefined) throw new BackdialError('request-invalid', 'the request has no Host');
  if (request.headersDistinct.host?.length !== 1) throw new BackdialError('request-invalid', 'Host is given twice');
  const name = nameOf(host);
  if (name === null || !isOwnName(name, access)) {
    throw new BackdialError(
      'api-foreign',
      `Host is ${JSON.stringify(host.slice(0, 100))}; allowed: ${ownNames(access)}`,
    );
  }
  const same = [`http://${host}`, `https://${host}`];
  if (origin !== undefined && !same.includes(origin.toLowerCase())) {
    throw new BackdialError('api-foreign', `Origin is ${JSON.stringify(origin.slice(0, 100))}; allowed: the API's own`);
  }
}

/** Checks that the sender may ask. Fails with `api-token`, or `api-foreign` where only this machine may. */
export function checkSender(request: IncomingMessage, remote: string, { token }: ApiAccess): void {
  if (token === null) {
    const address = peerAddress(remote);
    if (address === null || isLoopback(address)) return;
    throw new BackdialError('api-foreign', 'without a token only this machine may ask');
  }
  const { authorization } = request.headers;
  if (authorization === undefined) throw new BackdialError('api-token', 'send `Authorization: Bearer <token>`');
  const given = /^Bearer +(.*)$/i.exec(authorization)?.[1] ?? '';
  // Header values are read as latin1; the token may be any UTF-8.
  if (!token.equals(Buffer.from(given, 'latin1').toString('utf8'))) throw new BackdialError('api-token');
}

/** The host of a `Host` field, lower-cased, without port and brackets; null when it is none. */
function nameOf(host: string): string | null {
  const parsed = parseHostPort(/:\d+$/.test(host) && !/^[^[]*:[^:]*:/.test(host) ? host : `${host}:80`);
  if (parsed === null) return null;
  return isIP(parsed.host) !== 0 ? parsed.host : canonicalName(parsed.host);
}

function isOwnName(name: string, { listen, names }: ApiAccess): boolean {
  if (name === 'localhost' || isLoopback(name) || names.includes(name)) return true;
  const hosts = listen.flatMap((address) => ('host' in address ? [address.host] : []));
  if (hosts.includes(name)) return true;
  // An address cannot be bound to another machine, and a name of one label is no site's of the internet: a name in a
  // container network, for instance.
  return !listen.every(isLocalAddress) && (isIP(name) !== 0 || !name.includes('.'));
}

function ownNames({ listen, names }: ApiAccess): string {
  const hosts = listen.flatMap((address) => ('host' in address && isIP(address.host) === 0 ? [address.host] : []));
  return [...new Set(['localhost', 'an IP address of this machine', ...hosts, ...names])].join(', ');
}
