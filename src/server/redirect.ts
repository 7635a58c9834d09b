import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { formatAddress, type ListenAddress, parseHostPort, type SocketAddress } from '../core/address.ts';
import type { BackdialError } from '../core/errors.ts';
import { canonicalName } from '../core/host-name.ts';
import { bindServer, type Listener } from '../net/listen.ts';
import type { ListenerGroup } from '../net/listener-group.ts';
import { ListenerSet, type WantedListener } from '../net/listener-set.ts';
import { Admission } from './admission.ts';
import { wantedListeners } from './listeners.ts';
import type { ResolvedServerOptions } from './resolve-options.ts';

/** The listeners that send plain HTTP to https. */
export interface Redirect {
  /** Opens every listener of `options.redirect`; fails with `listen-failed`, and then none stays open. */
  listen(): Promise<SocketAddress[]>;
  /**
   * Closes and opens listeners until they are those of `options.redirect`; connections of closed ones have a second left.
   * Gives what could not be opened.
   */
  follow(): Promise<BackdialError[]>;
  /** Takes over those of `options` of which the listeners have copies; for connections to come. */
  refresh(): void;
  /** Stops accepting at once; what is open has a second left. Idempotent. */
  stop(): void;
  /** Stops, then resolves when the last connection has closed; cuts none. */
  drained(): Promise<void>;
  /** Stops, destroys every connection, resolves when all have closed. Idempotent. */
  close(): Promise<void>;
  /** Connections that are open. */
  readonly connectionCount: number;
}

export interface RedirectOptions {
  readonly options: Pick<
    ResolvedServerOptions,
    | 'sockets'
    | 'redirect'
    | 'listen'
    | 'maxHeaderBytes'
    | 'readTimeoutMs'
    | 'observer'
    | 'maxConnections'
    | 'maxConnectionsPerAddress'
  >;
  /** The port that visitors are sent to. Default: 443 where the front door has it, else the first port that it has. */
  readonly httpsPort?: () => number;
  /** Shared with the other listeners. Default: one of its own, with the limits of `options`. */
  readonly admission?: Admission;
}

/** Makes the redirect listeners; they do not listen yet. */
export function createRedirect(options: RedirectOptions): Redirect {
  return new HttpsRedirect(options);
}

const KEEP_ALIVE_MS = 5_000;
const MAX_REQUESTS_PER_CONNECTION = 100;
/** What is left for a connection once the redirect has stopped. */
const STOPPED_CONNECTION_MS = 1_000;
const DEFAULT_HTTPS_PORT = 443;

class HttpsRedirect implements Redirect {
  readonly #options: RedirectOptions['options'];
  readonly #httpsPort: () => number;
  readonly #admission: Admission;
  readonly #listeners = new ListenerSet();
  readonly #servers = new Set<http.Server>();
  #stopped = false;

  constructor({ options, httpsPort, admission }: RedirectOptions) {
    this.#options = options;
    this.#httpsPort = httpsPort ?? (() => httpsPortOf(options.listen.map(({ address }) => address)));
    this.#admission = admission ?? new Admission(options);
  }

  get connectionCount(): number {
    return this.#listeners.size;
  }

  async listen(): Promise<SocketAddress[]> {
    try {
      return await this.#listeners.open(this.#wanted());
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async follow(): Promise<BackdialError[]> {
    return this.#stopped ? [] : this.#listeners.follow(this.#wanted(), endSoon);
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#listeners.stop();
    // A stopped http.Server checks no time-outs any more; every answer is written in the turn of its request.
    const lastCall = setTimeout(() => void this.close(), STOPPED_CONNECTION_MS);
    lastCall.unref();
  }

  drained(): Promise<void> {
    this.stop();
    return this.#listeners.drained();
  }

  close(): Promise<void> {
    this.stop();
    return this.#listeners.close((socket) => socket.destroy());
  }

  #wanted(): WantedListener[] {
    const { redirect, sockets } = this.#options;
    return redirect.flatMap((address) =>
      wantedListeners({ key: formatAddress(address), address }, sockets, (place, group) => this.#open(place, group)),
    );
  }

  async #open(address: ListenAddress, group: ListenerGroup): Promise<Listener> {
    const onAcceptError = (error: Error) => this.#admission.acceptFailed(error);
    const listener = await bindServer(this.#makeServer(group), address, { onAcceptError });
    const told = formatAddress(listener.address);
    this.#options.observer({ type: 'listening', purpose: 'redirect', address: told });
    return listener;
  }

  refresh(): void {
    for (const server of this.#servers) Object.assign(server, this.#limits());
  }

  #limits() {
    const { readTimeoutMs, maxHeaderBytes } = this.#options;
    // Nobody reads the body, so that is how long one may take to be thrown away.
    return { headersTimeout: readTimeoutMs, requestTimeout: readTimeoutMs, maxHeaderSize: maxHeaderBytes };
  }

  #makeServer(group: ListenerGroup): http.Server {
    const limits = this.#limits();
    const server = http.createServer({
      ...limits,
      connectionsCheckingInterval: Math.max(100, Math.min(1_000, limits.requestTimeout / 2)),
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
    });
    this.#servers.add(server);
    server.once('close', () => this.#servers.delete(server));
    server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
    server.on('connection', (socket: Socket) => this.#serverOnConnection(socket, group));
    server.on('request', (request, response) => this.#serverOnRequest(request, response));
    // `Expect: 100-continue`: the final answer comes at once, the body need not.
    server.on('checkContinue', (request, response) => this.#serverOnRequest(request, response));
    server.on('connect', (_request, socket: Socket) => refuseConnect(socket));
    return server;
  }

  #serverOnConnection(socket: Socket, group: ListenerGroup): void {
    socket.on('error', socketOnError);
    if (this.#admission.admit(socket) !== null) group.addSocket(socket);
  }

  #serverOnRequest(request: IncomingMessage, response: ServerResponse): void {
    const location = locationOf(request, this.#httpsPort());
    // Without a body of their own both answers are the same for every client and every Host.
    if (location === null) response.writeHead(400, { Connection: 'close', 'Content-Length': 0 });
    else response.writeHead(308, { Location: location, 'Content-Length': 0 });
    response.end();
  }
}

/**
 * Where a request belongs, or null when it is none that can be sent there. Always 308: unlike 301 it keeps the method and
 * the body, and one status for all methods is the same for every Host. The host is the request's own, in canonical form, so
 * whether a domain exists is not told, and nobody can be sent to a host that they did not ask for.
 */
function locationOf(request: IncomingMessage, port: number): string | null {
  const hosts = request.rawHeaders.filter(
    (_, index, all) => index % 2 === 1 && all[index - 1]?.toLowerCase() === 'host',
  );
  const [host] = hosts;
  if (host === undefined || hosts.length > 1) return null;
  const name = nameOf(host);
  const path = pathOf(request.url ?? '', host);
  if (name === null || path === null) return null;
  return `https://${name}${port === DEFAULT_HTTPS_PORT ? '' : `:${port}`}${path}`;
}

/** `name[:port]`, the port dropped: that of plain HTTP says nothing about https. */
function nameOf(host: string): string | null {
  const parsed = parseHostPort(host.includes(':') ? host : `${host}:80`);
  return parsed === null ? null : canonicalName(parsed.host);
}

/** Origin-form, or absolute-form of the same authority; printable ASCII without a fragment. */
function pathOf(target: string, host: string): string | null {
  const prefix = `http://${host.toLowerCase()}`;
  const absolute = target.toLowerCase().startsWith(prefix);
  const path = absolute ? target.slice(prefix.length) || '/' : target;
  return /^\/[\x21-\x22\x24-\x7e]*$/.test(path) ? path : null;
}

/** The port of a front door that visitors can be sent to; 443 where it is not known yet. */
export function httpsPortOf(listen: readonly ListenAddress[]): number {
  const ports = listen.flatMap((address) => ('port' in address && address.port !== 0 ? [address.port] : []));
  return ports.includes(DEFAULT_HTTPS_PORT) ? DEFAULT_HTTPS_PORT : (ports[0] ?? DEFAULT_HTTPS_PORT);
}

function refuseConnect(socket: Socket): void {
  socket.write('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  socket.destroySoon();
}

/** Time-outs of a server that has stopped are checked no more. */
function endSoon(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), STOPPED_CONNECTION_MS);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}

/** What an error means is told by `close`. */
function socketOnError(): void {}
