import { closeSync, constants, existsSync, lstatSync, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { asBackdialError } from '../core/errors.ts';
import { hashedName } from '../core/host-name.ts';
import { openTarget } from '../net/open-target.ts';
import { type VisitorEnds, visitorHeader } from '../net/proxy-protocol.ts';
import type { SniOptions } from './options.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** `sun_path` of Linux without its final zero; libuv would cut a longer one silently. */
const MAX_UNIX_PATH_BYTES = 107;
/** Of Linux; Node does not name it. A folder that may be entered but not listed can be opened with it. */
const O_PATH = 0o10000000;

/** The folder of `<hosts>` that a name has. */
export interface HostFolder {
  /** Absolute path. */
  readonly path: string;
}

/**
 * The hosts folder (features 5.3): looked up for each connection, nothing is kept, so that whatever is put into it or swapped
 * in it counts from the next connection on. A name is that of a folder: its own, else `_.example.com` for one label more than
 * `example.com`. `_` is the fallback, which {@link fallback} asks for alone.
 *
 * Look-ups are synchronous: one or two `lstat` (3 us each) instead of two turns through the thread pool, and the socket
 * can be handed over in the turn of its ClientHello.
 */
export class HostsFolder {
  readonly #sni: () => SniOptions | null;

  constructor(sni: () => SniOptions | null) {
    this.#sni = sni;
  }

  /** The folder of a canonical name; null where it has none, or there is no hosts folder. */
  find(name: string): HostFolder | null {
    const sni = this.#sni();
    if (sni === null) return null;
    const dot = name.indexOf('.');
    const folderOf = (host: string) => (sni.hashed === true ? hashedName(host) : host);
    const exact = lookUp(sni, folderOf(name));
    return exact ?? (dot === -1 ? null : lookUp(sni, `_.${folderOf(name.slice(dot + 1))}`));
  }

  /** The folder of names that nobody has. */
  fallback(): HostFolder | null {
    const sni = this.#sni();
    return sni === null ? null : lookUp(sni, '_');
  }
}

/** Null only where there is nothing: what is there and cannot be used is a dead host, no other one's name. */
function lookUp({ hosts }: SniOptions, folder: string): HostFolder | null {
  const path = join(hosts, folder);
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined ? null : { path };
  } catch {
    return { path };
  }
}

/**
 * Connects to the `tls-socket` of a host, behind a PROXY line where `send-proxy-v1` asks for one. Fails with a `target-...`
 * code, or the signal's reason.
 */
export async function openHost({ path }: HostFolder, ends: VisitorEnds, signal?: AbortSignal): Promise<Socket> {
  const header = existsSync(join(path, 'send-proxy-v1')) ? visitorHeader(1, ends) : null;
  const socketPath = join(path, 'tls-socket');
  const options = { timeoutMs: CONNECT_TIMEOUT_MS, signal, header };
  if (Buffer.byteLength(socketPath) <= MAX_UNIX_PATH_BYTES) return openTarget({ path: socketPath }, options);
  let folder: number;
  try {
    folder = openSync(path, O_PATH | constants.O_DIRECTORY);
  } catch (error) {
    throw asBackdialError(error, 'target-unreachable');
  }
  try {
    // Names have up to 254 bytes, paths of sockets 107: by way of the folder's descriptor it is always short enough.
    return await openTarget({ path: `/proc/self/fd/${folder}/tls-socket` }, options);
  } finally {
    closeSync(folder);
  }
}
