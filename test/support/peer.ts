import { once } from 'node:events';
import * as net from 'node:net';
import type { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import { testAuthority, testCertificate } from './certificates.ts';
import { listenOn } from './listen-on.ts';
import { type Ending, watchEnding } from './verdict.ts';
import { within } from './within.ts';

/** One end of a byte stream, in the clear or under TLS, as a test holds it: says what it got and how it ended. */
export class Peer {
  /** The socket below TLS: the only one that can be reset. */
  readonly raw: net.Socket;
  readonly stream: Duplex;
  /** Settles once, when the peer has ended or cut the connection. Never rejects. */
  readonly ending: Promise<Ending>;
  readonly #chunks: Buffer[] = [];
  #length = 0;
  #waiting: { length: number; resolve: () => void }[] = [];

  constructor(stream: Duplex, raw: net.Socket) {
    this.stream = stream;
    this.raw = raw;
    if (stream !== raw) raw.on('error', () => {});
    this.ending = watchEnding(stream);
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  /** Everything received so far. */
  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  get length(): number {
    return this.#length;
  }

  /** Resolves when `length` bytes in all have arrived. */
  received(length: number): Promise<void> {
    if (this.#length >= length) return Promise.resolve();
    const arrived = new Promise<void>((resolve) => this.#waiting.push({ length, resolve }));
    return within(`${length} bytes (${this.#length} arrived)`, arrived);
  }

  /** Resolves when `marker` has arrived; the text before it. */
  async receivedText(marker: string): Promise<string> {
    for (let length = this.#length; ; length = this.#length + 1) {
      const at = this.text.indexOf(marker);
      if (at !== -1) return this.text.slice(0, at);
      await this.received(length);
    }
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

  /** RST, whatever was still to be sent. */
  reset(): void {
    this.raw.resetAndDestroy();
  }

  /** Stops reading, so that the other end runs into back-pressure. */
  stall(): void {
    this.stream.pause();
  }

  close(): void {
    this.stream.destroy();
    this.raw.destroy();
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const ready = this.#waiting.filter(({ length }) => length <= this.#length);
    this.#waiting = this.#waiting.filter(({ length }) => length > this.#length);
    for (const { resolve } of ready) resolve();
  }
}

export interface ConnectOptions {
  readonly tls?: boolean;
  /** Default `www.example.com`. */
  readonly servername?: string;
  readonly alpn?: readonly string[];
}

/** Connects to a port of the loopback address; half-open is allowed. */
export async function connectPeer(port: number, options: ConnectOptions = {}): Promise<Peer> {
  const raw = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  if (options.tls !== true) {
    const peer = new Peer(raw, raw);
    await within('connect', once(raw, 'connect'));
    return peer;
  }
  const stream = tls.connect({
    socket: raw,
    servername: options.servername ?? 'www.example.com',
    ca: testAuthority().cert,
    ...(options.alpn === undefined ? {} : { ALPNProtocols: [...options.alpn] }),
  });
  const peer = new Peer(stream, raw);
  // A reset that meets the server's session tickets is lost: the kernel reports it to the write of the tickets, Node drops
  // that error, and the read behind it says EOF. So a handshake counts as done when the tickets have come.
  await within('TLS handshake and session tickets', once(stream, 'session'));
  return peer;
}

/** A listener that hands out the connections it accepts as {@link Peer}s. */
export interface PeerListener {
  readonly port: number;
  /** Every connection so far. */
  readonly peers: readonly Peer[];
  /** The next connection that nobody asked for yet. */
  next(): Promise<Peer>;
  close(): Promise<void>;
}

export async function listenForPeers(
  options: { tls?: boolean; onPeer?: (peer: Peer) => void } = {},
): Promise<PeerListener> {
  const peers: Peer[] = [];
  const unclaimed: Peer[] = [];
  const waiting: ((peer: Peer) => void)[] = [];
  const context = options.tls === true ? tls.createSecureContext(testCertificate()) : null;
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (raw) => {
    const stream = context === null ? raw : new tls.TLSSocket(raw, { isServer: true, secureContext: context });
    const peer = new Peer(stream, raw);
    peers.push(peer);
    options.onPeer?.(peer);
    const claim = waiting.shift();
    if (claim === undefined) unclaimed.push(peer);
    else claim(peer);
  });
  const port = await listenOn(server);
  return {
    port,
    peers,
    next() {
      const ready = unclaimed.shift();
      if (ready !== undefined) return Promise.resolve(ready);
      return within('a connection to the target', new Promise<Peer>((resolve) => waiting.push(resolve)));
    },
    async close() {
      for (const peer of peers) peer.close();
      server.close();
      await once(server, 'close');
    },
  };
}
