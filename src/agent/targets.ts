import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { formatAddress, parseHostPort, type SocketAddress } from '../core/address.ts';
import { BackdialError, type ErrorCode } from '../core/errors.ts';
import { connectSocket, type OpenOptions, peerProblem, startTls } from '../net/open-socket.ts';
import type { StreamHead } from '../tunnel/types.ts';
import type { ResolvedTarget } from './resolve-options.ts';

/**
 * Whether a stream means the domain's target (design, section 2): the ways `https` and `tls` do, whatever port the front
 * door has, and so do names without a port, or with 80 or 443. Any other port means an entry of `ports`, of which there is
 * none yet, but a domain's own TCP listener falls back to the only target.
 */
export function meansTarget({ authority, way }: StreamHead): boolean {
  if (way === 'https' || way === 'tls' || way === 'tcp' || !authority.includes(':')) return true;
  const port = parseHostPort(authority)?.port;
  return port === 80 || port === 443;
}

/**
 * A connection to a target, both of its directions open on their own (`allowHalfOpen`). Fails with a `target-...` code, or
 * the signal's reason; nothing is left open then. `timeoutMs` covers TCP and TLS together.
 */
export async function connectTarget(target: ResolvedTarget, options: OpenOptions): Promise<Duplex> {
  const address: SocketAddress = target.kind === 'unix' ? { path: target.path } : target;
  const expires = performance.now() + options.timeoutMs;
  let raw: Socket;
  try {
    raw = await connectSocket(address, { ...options, allowHalfOpen: true });
  } catch (error) {
    options.signal?.throwIfAborted();
    throw failure(error, formatAddress(address), 'target-unreachable');
  }
  if (target.kind !== 'https') return raw;
  const timeoutMs = Math.max(1, Math.ceil(expires - performance.now()));
  return secure(raw, target, { ...options, timeoutMs });
}

async function secure(
  raw: Socket,
  target: Extract<ResolvedTarget, { kind: 'https' }>,
  options: OpenOptions,
): Promise<TLSSocket> {
  let socket: TLSSocket;
  try {
    socket = await startTls(raw, { host: target.host, ca: target.ca }, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw failure(error, formatAddress(target), 'target-tls', IN_TLS);
  }
  const problem = target.verify ? peerProblem(socket, target.host) : null;
  if (problem === null) return socket;
  socket.destroy();
  throw new BackdialError('target-certificate', `${formatAddress(target)}: ${problem}`);
}

const WHILE_CONNECTING: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'target-refused',
  ETIMEDOUT: 'target-timeout',
  ENOTFOUND: 'target-unresolved',
  EAI_AGAIN: 'target-unresolved',
};
/** A deadline is one; all else that happens after TCP was open is a fault of TLS. */
const IN_TLS: Readonly<Record<string, ErrorCode>> = { ETIMEDOUT: 'target-timeout' };

function failure(error: unknown, what: string, otherwise: ErrorCode, codes = WHILE_CONNECTING): BackdialError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new BackdialError(codes[code ?? ''] ?? otherwise, `${what}: ${message}`, { cause: error });
}
