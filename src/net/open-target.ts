import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import { BackdialError, type ErrorCode } from '../core/errors.ts';
import { connectSocket, type OpenOptions } from './open-socket.ts';
import { opensslWords } from './openssl-words.ts';

/** What a target is told while its connection is opened. */
export interface OpenTargetOptions extends OpenOptions {
  /** Goes in front of all else: a PROXY header. Default null: nothing. */
  readonly header?: Buffer | null;
}

/** How long a Unix socket whose backlog is full is left alone: unlike TCP, the kernel does not wait for room. */
const FULL_BACKLOG_PAUSE_MS = 10;

/**
 * A connection to a target in the clear, both of its directions open on their own (`allowHalfOpen`). Fails with a
 * `target-...` code, or the signal's reason; nothing is left open then.
 */
export async function openTarget(address: SocketAddress, options: OpenTargetOptions): Promise<Socket> {
  const { signal, header } = options;
  const expires = performance.now() + options.timeoutMs;
  for (;;) {
    try {
      const timeoutMs = Math.max(1, Math.ceil(expires - performance.now()));
      const socket = await connectSocket(address, { ...options, timeoutMs, allowHalfOpen: true, spliced: true });
      if (header != null) socket.write(header);
      return socket;
    } catch (error) {
      signal?.throwIfAborted();
      const isFull = 'path' in address && (error as NodeJS.ErrnoException).code === 'EAGAIN';
      if (!isFull || performance.now() + FULL_BACKLOG_PAUSE_MS > expires) {
        throw targetFailure(error, formatAddress(address), 'target-unreachable');
      }
    }
    // An abort meanwhile is seen by the next attempt.
    await sleep(FULL_BACKLOG_PAUSE_MS);
  }
}

const WHILE_CONNECTING: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'target-refused',
  ETIMEDOUT: 'target-timeout',
  EAGAIN: 'target-timeout',
  ENOTFOUND: 'target-unresolved',
  EAI_AGAIN: 'target-unresolved',
};

/** What the platform said of `what`, in our words; `otherwise` where `codes` does not know it. */
export function targetFailure(
  error: unknown,
  what: string,
  otherwise: ErrorCode,
  codes: Readonly<Record<string, ErrorCode>> = WHILE_CONNECTING,
): BackdialError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new BackdialError(codes[code ?? ''] ?? otherwise, `${what}: ${opensslWords(message)}`, { cause: error });
}
