import { lstatSync, unlinkSync } from 'node:fs';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import { BackdialError } from '../core/errors.ts';

/** A public listener. Sockets that it accepted belong to whoever got them. */
export interface Listener {
  /** Where it listens, with the port that the system chose where 0 was asked for. */
  readonly address: SocketAddress;
  /** Stops accepting at once, so that another process can bind; what was accepted lives on. Idempotent. */
  stop(): void;
  /** {@link stop}, then resolves when every socket that it accepted has closed. Closes none of them. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** Called in the turn of the accept; the socket has an `error` listener already. */
  onSocket(socket: Socket): void;
  /** Default true. */
  readonly noDelay?: boolean;
  /** Default false: a FIN of the peer ends the socket. */
  readonly allowHalfOpen?: boolean;
  /** Idle time before the kernel probes a peer, ms. Default 60,000. */
  readonly keepAliveMs?: number;
  /** Told of a connection that could not be accepted (EMFILE, ECONNABORTED, ...). The listener lives on. */
  readonly onAcceptError?: (error: Error) => void;
}

/** The kernel lowers it to its own limit (`net.core.somaxconn`). */
const BACKLOG = 4_096;
/** How long a Unix socket that is in the way may take to answer before it counts as alive. */
const PROBE_TIMEOUT_MS = 1_000;
/** `sun_path` of Linux without its final zero; libuv would cut a longer one silently. */
const MAX_UNIX_PATH_BYTES = 107;

/** Listens on a TCP address or a Unix socket. Fails with `listen-failed`, which names the address and what to do. */
export function listenOn(address: SocketAddress, options: ListenOptions): Promise<Listener> {
  const server = net.createServer({
    noDelay: options.noDelay ?? true,
    allowHalfOpen: options.allowHalfOpen ?? false,
    keepAlive: true,
    keepAliveInitialDelay: options.keepAliveMs ?? 60_000,
  });
  server.on('connection', (socket: Socket) => {
    socket.on('error', socketOnError);
    options.onSocket(socket);
  });
  return bindServer(server, address, options.onAcceptError);
}

/**
 * Binds a server that its caller made (an `http.Server` is one too). `[::]` is IPv6 only, so that it goes together with
 * `0.0.0.0`. Fails with `listen-failed`.
 */
export async function bindServer(
  server: Server,
  address: SocketAddress,
  onAcceptError?: (error: Error) => void,
): Promise<Listener> {
  try {
    await bind(server, address);
  } catch (error) {
    if (!('path' in address) || codeOf(error) !== 'EADDRINUSE') throw listenFailed(address, error);
    await removeStaleSocket(address.path);
    await bind(server, address).catch((again: unknown) => {
      throw listenFailed(address, again);
    });
  }
  // After `listening`, `error` is about one accept; without a listener it would end the process.
  server.on('error', (error) => onAcceptError?.(error));
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  const stop = () => {
    if (server.listening) server.close();
  };
  return {
    address: 'path' in address ? address : { host: address.host, port: (server.address() as AddressInfo).port },
    stop,
    close() {
      stop();
      return closed;
    },
  };
}

function bind(server: Server, address: SocketAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    if ('path' in address && Buffer.byteLength(address.path) > MAX_UNIX_PATH_BYTES) {
      throw Object.assign(new Error('the path is too long'), { code: 'ENAMETOOLONG' });
    }
    server.once('error', reject);
    server.listen({ ...address, backlog: BACKLOG, ipv6Only: 'host' in address && address.host === '::' }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Removes the socket file of a process that is gone. Fails with `listen-failed` when it is alive, or no socket at all. */
async function removeStaleSocket(path: string): Promise<void> {
  const address = { path };
  try {
    if (!lstatSync(path).isSocket()) throw listenFailed(address, 'a file that is no socket is in the way; remove it');
    if (await answers(path)) throw listenFailed(address, 'another process listens there; stop it or take another path');
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error instanceof BackdialError ? error : listenFailed(address, error);
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    const settle = (alive: boolean) => {
      probe.destroy();
      resolve(alive);
    };
    probe.once('error', (error) => settle(codeOf(error) !== 'ECONNREFUSED'));
    probe.once('connect', () => settle(true));
    // A listener whose backlog is full is alive, too.
    probe.setTimeout(PROBE_TIMEOUT_MS, () => settle(true));
  });
}

const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there; stop it or choose another address or port',
  EACCES:
    'permission denied; ports below 1024 need CAP_NET_BIND_SERVICE, a Unix socket a folder that may be written to',
  EPERM: 'permission denied; ports below 1024 need CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL: 'this machine has no such address; use one of its own, 0.0.0.0 or [::]',
  EAFNOSUPPORT: 'this machine has no such address family; leave the address out',
  ENOTFOUND: 'the name cannot be resolved; use an IP address',
  EAI_AGAIN: 'the name cannot be resolved now; use an IP address',
  ENOENT: 'the folder of the Unix socket does not exist; make it',
  ENAMETOOLONG: `a Unix socket's path has at most ${MAX_UNIX_PATH_BYTES} bytes`,
};

function listenFailed(address: SocketAddress, cause: unknown): BackdialError {
  const code = codeOf(cause);
  const advice = typeof cause === 'string' ? cause : (ADVICE[code ?? ''] ?? String(cause));
  const where = `${formatAddress(address)}: ${advice}${code === undefined ? '' : ` (${code})`}`;
  return new BackdialError('listen-failed', where, { cause });
}

/** Whether a `listen-failed` says that somebody else listens there. */
export function isTaken(error: unknown): boolean {
  return codeOf(error instanceof BackdialError ? error.cause : error) === 'EADDRINUSE';
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** A reset may come before the socket's owner listens; what it means is for `close` to say. */
function socketOnError(): void {}
