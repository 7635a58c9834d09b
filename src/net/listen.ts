import { chmodSync, chownSync, existsSync, lstatSync, unlinkSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { formatAddress, type ListenAddress, type SocketAddress, type SocketOwner } from '../core/address.ts';
import { BackdialError } from '../core/errors.ts';
import { descriptorFault, NOT_LISTENING, socketFacts, takeDescriptor } from './handed-over.ts';

/** A public listener. Sockets that it accepted belong to whoever got them. */
export interface Listener {
  /** Where it listens, with the port that the system chose where 0 was asked for. */
  readonly address: SocketAddress;
  /** Stops accepting at once, so that another process can bind; what was accepted lives on. Idempotent. */
  stop(): void;
  /** {@link stop}, then resolves when every socket that it accepted has closed. Closes none of them. */
  close(): Promise<void>;
}

/** What is to be known of an address beside itself. */
export interface BindOptions {
  /** Told of a connection that could not be accepted (EMFILE, ECONNABORTED, ...). The listener lives on. */
  readonly onAcceptError?: ((error: Error) => void) | undefined;
  /** Permissions of a Unix socket's file, and who owns it. Default null: as the process makes files. */
  readonly mode?: number | null;
  readonly owner?: SocketOwner | null;
}

export interface ListenOptions extends BindOptions {
  /** Called in the turn of the accept; the socket has an `error` listener already. */
  onSocket(socket: Socket): void;
  /** Default true. */
  readonly noDelay?: boolean;
  /** Default false: a FIN of the peer ends the socket. */
  readonly allowHalfOpen?: boolean;
  /** What a socket takes before `write` says that it has enough, bytes. Default: Node's 64 kB. */
  readonly highWaterMark?: number;
  /** Idle time before the kernel probes a peer, ms. Default 60,000. */
  readonly keepAliveMs?: number;
}

/** The kernel lowers it to its own limit (`net.core.somaxconn`). */
const BACKLOG = 4_096;
/** How long a Unix socket that is in the way may take to answer before it counts as alive. */
const PROBE_TIMEOUT_MS = 1_000;
/** `sun_path` of Linux without its final zero; libuv would cut a longer one silently. */
const MAX_UNIX_PATH_BYTES = 107;

/** Listens, see {@link bindServer}. */
export function listenOn(address: ListenAddress, options: ListenOptions): Promise<Listener> {
  const server = net.createServer({
    noDelay: options.noDelay ?? true,
    allowHalfOpen: options.allowHalfOpen ?? false,
    ...(options.highWaterMark === undefined ? {} : { highWaterMark: options.highWaterMark }),
    keepAlive: true,
    keepAliveInitialDelay: options.keepAliveMs ?? 60_000,
  });
  server.on('connection', (socket: Socket) => {
    socket.on('error', socketOnError);
    options.onSocket(socket);
  });
  return bindServer(server, address, options);
}

/**
 * Makes a server that its caller made (an `http.Server` is one too) listen on a TCP address, a Unix socket, or a socket that
 * was handed over. `[::]` is IPv6 only, so that it goes together with `0.0.0.0`. Fails with `listen-failed`, which names the
 * address and what to do.
 */
export async function bindServer(server: Server, address: ListenAddress, options: BindOptions = {}): Promise<Listener> {
  if ('systemd' in address) throw listenFailed(address, 'no socket of that name was handed over');
  if ('fd' in address) await takeOver(server, address);
  else await bindAddress(server, address, options);
  // After `listening`, `error` is about one accept; without a listener it would end the process.
  server.on('error', (error) => options.onAcceptError?.(error));
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  const stop = () => {
    if (server.listening) server.close();
  };
  return {
    address: placeOf(server, address),
    stop,
    close() {
      stop();
      return closed;
    },
  };
}

/** Where a server listens. */
function placeOf(server: Server, given: SocketAddress | { readonly fd: number }): SocketAddress {
  const found = server.address();
  if (found === null || typeof found === 'string') {
    if (!('fd' in given)) return given;
    return { path: found ?? socketFacts(given.fd)?.path ?? formatAddress(given) };
  }
  return { host: 'host' in given ? given.host : found.address, port: found.port };
}

async function takeOver(server: Server, address: { readonly fd: number }): Promise<void> {
  const fault = descriptorFault(address.fd);
  if (fault !== null) throw listenFailed(address, fault);
  const before = socketFacts(address.fd);
  try {
    await listen(server, address);
  } catch (error) {
    throw listenFailed(address, codeOf(error) === 'EINVAL' ? NOT_LISTENING : error);
  }
  takeDescriptor(address.fd);
  // Nobody listened there; the system would choose some port.
  if (before?.listening !== null || socketFacts(address.fd)?.listening === null) return;
  server.close();
  throw listenFailed(address, NOT_LISTENING);
}

async function bindAddress(server: Server, address: SocketAddress, options: BindOptions): Promise<void> {
  try {
    await bind(server, address, options);
  } catch (error) {
    if (!('path' in address)) throw listenFailed(address, error);
    if (codeOf(error) !== 'EADDRINUSE') throw listenFailed(address, causeOf(address.path, error));
    await removeStaleSocket(address.path);
    await bind(server, address, options).catch((again: unknown) => {
      throw listenFailed(address, again);
    });
  }
}

async function bind(server: Server, address: SocketAddress, { mode, owner }: BindOptions): Promise<void> {
  if (!('path' in address)) return listen(server, { ...address, ipv6Only: address.host === '::' });
  if (Buffer.byteLength(address.path) > MAX_UNIX_PATH_BYTES) {
    throw Object.assign(new Error('the path is too long'), { code: 'ENAMETOOLONG' });
  }
  const listening = listen(server, address);
  try {
    // In the turn that made the file, so that nobody who may not come in finds it.
    if (server.listening && mode !== undefined && mode !== null) chmodSync(address.path, mode);
    if (server.listening && owner !== undefined && owner !== null) {
      chownSync(address.path, owner.uid ?? UNCHANGED, owner.gid ?? UNCHANGED);
    }
  } catch (error) {
    await listening;
    server.close();
    throw codeOf(error) === 'EPERM' ? Object.assign(error as Error, { code: 'ECHOWN' }) : error;
  }
  return listening;
}

/** An id that `chown` leaves as it is. */
const UNCHANGED = 4_294_967_295;

function listen(server: Server, options: net.ListenOptions | { readonly fd: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...options, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** libuv tells of a folder that is missing as of one that may not be written to. */
function causeOf(path: string, error: unknown): unknown {
  const misses = codeOf(error) === 'EACCES' && !existsSync(dirname(path));
  return misses ? Object.assign(new Error('no such folder', { cause: error }), { code: 'ENOENT' }) : error;
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
  ECHOWN: 'only root may give a socket to another user, and others only to a group of their own',
  ENAMETOOLONG: `a Unix socket's path has at most ${MAX_UNIX_PATH_BYTES} bytes`,
};

function listenFailed(address: ListenAddress, cause: unknown): BackdialError {
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
