import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import { BackdialError, type ErrorCode } from '../core/errors.ts';
import { peerProblem, startTls } from '../net/open-socket.ts';
import { type OpenTargetOptions, openTarget, targetFailure } from '../net/open-target.ts';
import type { ResolvedTarget } from './resolve-routes.ts';

/** What a target is told, and asked, while its connection is opened; the `header` goes in front of TLS, too. */
export interface TargetOptions extends OpenTargetOptions {
  /** Protocols to offer to an https target, the preferred one first. Default `http/1.1`. */
  readonly alpn?: readonly string[];
}

/**
 * A connection to a target, both of its directions open on their own (`allowHalfOpen`). Fails with a `target-...` code, or
 * the signal's reason; nothing is left open then. `timeoutMs` covers TCP and TLS together.
 */
export async function connectTarget(target: ResolvedTarget, options: TargetOptions): Promise<Socket> {
  const address: SocketAddress = target.kind === 'unix' ? { path: target.path } : target;
  const expires = performance.now() + options.timeoutMs;
  const raw = await openTarget(address, options);
  if (target.kind !== 'https') return raw;
  const timeoutMs = Math.max(1, Math.ceil(expires - performance.now()));
  return secure(raw, target, { ...options, timeoutMs });
}

async function secure(
  raw: Socket,
  target: Extract<ResolvedTarget, { kind: 'https' }>,
  options: TargetOptions,
): Promise<TLSSocket> {
  let socket: TLSSocket;
  try {
    const { host, ca } = target;
    const { alpn } = options;
    socket = await startTls(raw, alpn === undefined ? { host, ca } : { host, ca, alpn }, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw targetFailure(error, formatAddress(target), 'target-tls', IN_TLS);
  }
  const problem = target.verify ? peerProblem(socket, target.host) : null;
  if (problem === null) return socket;
  socket.destroy();
  throw new BackdialError('target-certificate', `${formatAddress(target)}: ${problem}`);
}

/** A deadline is one; all else that happens after TCP was open is a fault of TLS. */
const IN_TLS: Readonly<Record<string, ErrorCode>> = { ETIMEDOUT: 'target-timeout' };
