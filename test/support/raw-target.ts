import { once } from 'node:events';
import * as net from 'node:net';
import type { Duplex } from 'node:stream';
import { Inbox } from './inbox.ts';
import { closerOf, listenOn } from './listen-on.ts';
import { type ConnectOptions, connectWire, wireAcceptor } from './sockets.ts';
import { type Ending, watchEnding } from './verdict.ts';
import { within } from './within.ts';

/** One end of a byte stream, in the clear or under TLS, as a test holds it: says what it got and how it ended. */
export class Peer extends Inbox {
  readonly stream: Duplex;
  /** The socket below TLS or HTTP/2: the only one that can be reset. */
  readonly raw: net.Socket;
  /** Settles once, when the other side has ended or cut the connection. Never rejects. */
  readonly ending: Promise<Ending>;

  constructor(stream: Duplex, raw: net.Socket) {
    super(stream);
    this.stream = stream;
    this.raw = raw;
    this.ending = watchEnding(stream);
  }

  /** Resolves when the bytes were handed to the kernel. */
  send(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.stream.write(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Ends this direction: TLS close_notify where there is TLS, then FIN. */
  fin(): void {
    this.stream.end();
  }

  /** RST, whatever was still to be sent; a Unix socket, which has none, is closed. */
  reset(): void {
    if (this.raw.remotePort === undefined) this.raw.destroy();
    else this.raw.resetAndDestroy();
  }

  close(): void {
    this.stream.destroy();
    this.raw.destroy();
  }
}

/** Connects to a port of the loopback address; half-open is allowed. */
export async function connectPeer(port: number, options: ConnectOptions = {}): Promise<Peer> {
  const { stream, raw } = await connectWire(port, options);
  return new Peer(stream, raw);
}

/** A raw target: a listener that hands out the connections it accepts as {@link Peer}s, which record every byte. */
export interface RawTarget {
  readonly port: number;
  /** Every connection so far. */
  readonly peers: readonly Peer[];
  /** The next connection that nobody asked for yet. */
  next(): Promise<Peer>;
  close(): Promise<void>;
  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface RawTargetOptions {
  readonly tls?: boolean;
  /** A Unix socket to listen at instead of a port, which is 0 then. */
  readonly path?: string;
  /** Plays the target's part on each connection; without it the test does. */
  readonly onPeer?: (peer: Peer) => void;
}

export async function startRawTarget(options: RawTargetOptions = {}): Promise<RawTarget> {
  const peers: Peer[] = [];
  const unclaimed: Peer[] = [];
  const waiting: ((peer: Peer) => void)[] = [];
  const accept = wireAcceptor(options, ({ stream, raw }) => {
    const peer = new Peer(stream, raw);
    peers.push(peer);
    options.onPeer?.(peer);
    const claim = waiting.shift();
    if (claim === undefined) unclaimed.push(peer);
    else claim(peer);
  });
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, accept);
  const close = closerOf(server);
  const port = await (options.path === undefined ? listenOn(server) : listenAt(server, options.path));
  return {
    port,
    peers,
    next() {
      const ready = unclaimed.shift();
      if (ready !== undefined) return Promise.resolve(ready);
      return within('a connection to the target', new Promise<Peer>((resolve) => waiting.push(resolve)));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function listenAt(server: net.Server, path: string): Promise<0> {
  server.listen(path);
  await once(server, 'listening');
  return 0;
}
