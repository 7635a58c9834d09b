import type { Socket } from 'node:net';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { requestConnect } from '../net/http-proxy.ts';
import { loginOf } from './authorization.ts';
import { dialServer, type ServerRoute } from './dial-server.ts';
import type { ResolvedAgentDomain } from './resolve-options.ts';

/** What bounds the way to a destination of a server's. */
export interface ThroughOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * A byte stream to `authority` (`host:port`), which the server dials (design, section 2: `CONNECT` at its front door). Other
 * addresses of the server are tried where one cannot be reached. Fails as a dial does, with `connect-refused` where the server
 * refused, or with the signal's reason.
 */
export async function connectThrough(
  routes: readonly ServerRoute[],
  domain: ResolvedAgentDomain,
  authority: string,
  { timeoutMs, signal }: ThroughOptions,
): Promise<Socket> {
  let failure = new BackdialError('server-unreachable', 'there is no tunnel to the server');
  for (const route of routes) {
    try {
      const socket = await dialServer(route, domain.trust, { timeoutMs, signal, proof: domain.proof });
      return await askFor(socket, domain, authority, { timeoutMs, signal });
    } catch (thrown) {
      signal.throwIfAborted();
      failure = asBackdialError(thrown, 'server-unreachable');
      if (failure.code === 'connect-refused') break;
    }
  }
  throw failure;
}

/** Whether the server may grant it to another identity: what it tried to reach, and could not, it would not reach for that one. */
export function isLackOfGrant(error: unknown): boolean {
  if (!(error instanceof BackdialError) || error.code !== 'connect-refused') return false;
  const status = (error.cause as { status?: number } | undefined)?.status;
  return status !== undefined && status < 500;
}

async function askFor(
  socket: Socket,
  domain: ResolvedAgentDomain,
  authority: string,
  options: ThroughOptions,
): Promise<Socket> {
  // Ends pass one by one.
  socket.allowHalfOpen = true;
  try {
    await requestConnect(socket, authority, loginOf(domain), options);
    return socket;
  } catch (error) {
    socket.destroy();
    throw new BackdialError('connect-refused', (error as Error).message, { cause: error });
  }
}
