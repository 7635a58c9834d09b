import { type ClientRequest, Agent as HttpAgent, type AgentOptions as HttpAgentOptions } from 'node:http';
import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';
import type { Client, Dispatcher, Pool, Agent as UndiciAgent } from 'undici';
import type { Dialled, DialOptions } from '../core/dial.ts';
import { BackdialError } from '../core/errors.ts';
import { LONGEST_TIMER_MS } from '../core/in-time.ts';
import * as shape from '../core/shape.ts';
import { DialledSocket } from '../net/dialled-socket.ts';
import { StreamSocket } from '../net/stream-socket.ts';

/** How `server.dial()` dials. */
export interface ServerDialOptions extends Partial<DialOptions> {
  /**
   * Starts with the call; ends when somebody serves the name, or with `domain-unserved`, ms. A name that the server does not
   * know at all fails at once. Default 0: fail at once where nobody serves it.
   */
  readonly waitMs?: number;
}

/** What `server.httpAgent()` and `server.dispatcher()` may be told. */
export interface ClientPoolOptions {
  /** As in {@link ServerDialOptions}, for every connection that has to be opened. Default 0. */
  readonly waitMs?: number;
  /** Connections to one name at the same time; more requests wait. Default 256. */
  readonly connections?: number;
  /** How long a connection without a request is kept, ms. Default 4,000. */
  readonly idleTimeoutMs?: number;
}

/** What `fetch` takes by the types of Node.js; with those of browsers, too, its options know no dispatcher. */
type FetchDispatcher = RequestInit extends { dispatcher?: infer Taken } ? NonNullable<Taken> : unknown;

/** For `fetch` by the types of Node.js, and for undici's functions by its own; the two do not fit each other. */
export type LibraryDispatcher = Dispatcher & FetchDispatcher;

const waitMs = shape.whole(0, LONGEST_TIMER_MS);
const dialShape = shape.object<ServerDialOptions>({
  waitMs,
  way: shape.oneOf('https', 'tls', 'tcp', 'proxy', 'connect', 'library', 'peer'),
  http: shape.flag,
  transaction: shape.text,
  client: shape.text,
  arrivedAt: shape.func,
  signal: shape.abortSignal,
});
const poolShape = shape.object<ClientPoolOptions>({
  waitMs,
  connections: shape.whole(1, 2 ** 31 - 1),
  idleTimeoutMs: shape.whole(1, LONGEST_TIMER_MS),
});

/** Fails with `config-invalid` where it is not what the types say: nobody has checked that for JavaScript. */
export function checkDialOptions(given: unknown): void {
  failWith(dialShape(given, ''));
}

function failWith(problems: readonly string[]): void {
  if (problems.length > 0) throw new BackdialError('config-invalid', problems.join('; '));
}

/** With the defaults where nothing is given. Fails with `config-invalid`. */
function resolvePool(given: ClientPoolOptions): Required<ClientPoolOptions> {
  failWith(poolShape(given, ''));
  const { waitMs, connections, idleTimeoutMs } = given;
  return {
    waitMs: waitMs ?? DEFAULTS.waitMs,
    connections: connections ?? DEFAULTS.connections,
    idleTimeoutMs: idleTimeoutMs ?? DEFAULTS.idleTimeoutMs,
  };
}

/** Opens streams for the clients of this file: a stream of the way `library`. */
export type OpenStream = (name: string, options: ServerDialOptions) => Promise<Dialled>;

const DEFAULTS = { waitMs: 0, connections: 256, idleTimeoutMs: 4_000 } as const;
const HTTP_PORT = 80;
const HTTPS_PORT = 443;

/** An agent of node:http whose connections are streams through tunnels. */
export function createHttpAgent(open: OpenStream, given: ClientPoolOptions = {}): HttpAgent {
  return new TunnelHttpAgent(open, resolvePool(given));
}

class TunnelHttpAgent extends HttpAgent {
  readonly #open: OpenStream;
  readonly #waitMs: number;
  readonly #idleTimeoutMs: number;
  readonly #leaving = new WeakSet<Duplex>();
  /** What ends those that are free. */
  readonly #idle = new WeakMap<Duplex, NodeJS.Timeout>();

  constructor(open: OpenStream, { waitMs, connections, idleTimeoutMs }: Required<ClientPoolOptions>) {
    super({ keepAlive: true, maxSockets: connections } satisfies HttpAgentOptions);
    this.#open = open;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#waitMs = waitMs;
  }

  override createConnection({ host, port }: { host?: string | null; port?: number | string | null }): DialledSocket {
    const socket: DialledSocket = new DialledSocket(async (signal) => {
      const options = { waitMs: this.#waitMs, http: true, signal };
      const { stream, leaving } = await this.#open(`${host}:${port ?? HTTP_PORT}`, options);
      this.#keep(socket, leaving);
      return stream;
    });
    return socket;
  }

  override keepSocketAlive(socket: Duplex): boolean {
    if (this.#leaving.has(socket) || socket.destroyed) return false;
    // Node sets a time-out of the socket; a stream has none.
    this.#idle.set(socket, setTimeout(() => socket.destroy(), this.#idleTimeoutMs).unref());
    return true;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    clearTimeout(this.#idle.get(socket));
    super.reuseSocket(socket, request);
  }

  /** What is free when its tunnel leaves must not hold that up. */
  #keep(socket: DialledSocket, leaving: AbortSignal | null): void {
    const leave = (): void => {
      this.#leaving.add(socket);
      const free = Object.values(this.freeSockets).some((list) => list?.includes(socket as never));
      if (free) socket.destroy();
    };
    whileOpen(socket, leaving, leave);
  }
}

/**
 * A dispatcher of undici whose connections are streams through tunnels: for `fetch(url, { dispatcher })` and undici's own
 * `request`, `stream`, `pipeline` and `upgrade`.
 */
export function createDispatcher(open: OpenStream, given: ClientPoolOptions = {}): LibraryDispatcher {
  const { waitMs, connections, idleTimeoutMs } = resolvePool(given);
  const { Agent, Client, Pool } = loadUndici();
  const makeClient = (origin: URL, options: object): Client => {
    const client: Client = new Client(origin, {
      ...(options as Client.Options),
      connect: ({ hostname, protocol, port }, callback) => {
        const name = `${hostname}:${port || (protocol === 'https:' ? HTTPS_PORT : HTTP_PORT)}`;
        // Not before the stream is answered: undici takes what it is given for a connection that is open.
        open(name, { waitMs, http: true }).then(
          ({ stream, leaving }) => callback(null, undiciSocket(client, stream, leaving) as never),
          (error: Error) => callback(error, null),
        );
      },
    });
    return client;
  };
  const settings = { connections, keepAliveTimeout: idleTimeoutMs, allowH2: false };
  return new Agent({
    ...settings,
    factory: (origin: string | URL, options: object) =>
      new Pool(origin, { ...options, ...settings, factory: makeClient }),
  }) as Dispatcher as LibraryDispatcher;
}

/** What is free when its tunnel leaves must not hold that up. */
function undiciSocket(client: Client, stream: Duplex, leaving: AbortSignal | null): StreamSocket {
  const socket = new StreamSocket(stream);
  const endIfFree = (): void => {
    if (client.stats.running === 0) socket.destroy();
  };
  whileOpen(socket, leaving, () => {
    endIfFree();
    // The end of its last answer is the end of its last read.
    socket.on('readable', () => setImmediate(endIfFree));
  });
  return socket;
}

function whileOpen(socket: Duplex, leaving: AbortSignal | null, onLeave: () => void): void {
  if (leaving?.aborted === true) onLeave();
  else leaving?.addEventListener('abort', onLeave, { once: true });
  socket.once('close', () => leaving?.removeEventListener('abort', onLeave));
}

interface Undici {
  readonly Agent: typeof UndiciAgent;
  readonly Client: typeof Client;
  readonly Pool: typeof Pool;
}

/**
 * Loaded when it is first asked for: it costs 17 MB and 0.2 s. By its parts, because undici's main file puts an agent of its
 * own in the place of Node's, which the global `fetch` of the whole process would use from then on.
 */
function loadUndici(): Undici {
  const require = createRequire(import.meta.url);
  return {
    Agent: require('undici/lib/dispatcher/agent.js'),
    Client: require('undici/lib/dispatcher/client.js'),
    Pool: require('undici/lib/dispatcher/pool.js'),
  };
}
