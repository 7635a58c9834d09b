import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as net from 'node:net';
import { listenOn } from './listen-on.ts';

/** `up` is from who connects to who is connected to. */
export type Direction = 'up' | 'down';

export interface LinkOptions {
  /** Each byte arrives this much later than it was sent. Default 0. */
  readonly delayMs?: number;
  /** Every connection is cut when so many bytes went through in one direction. */
  readonly cut?: Cut;
  /** The first so many bytes of each direction travel one by one, each in a segment of its own. Default 0. */
  readonly trickleBytes?: number;
}

export interface Cut {
  readonly direction: Direction;
  readonly atByte: number;
  /** How both sides see it. */
  readonly how: 'fin' | 'reset';
}

/**
 * A TCP relay that passes ends on as they are (FIN as FIN, RST as RST, half-close included) until it is told to misbehave:
 * it can reset, stall silently, trickle one byte at a time, speak garbage, and cut at byte N.
 */
export class FaultyLink {
  readonly port: number;
  readonly #server: net.Server;
  readonly #options: LinkOptions;
  readonly #pairs = new Set<Pair>();
  readonly #to: number;
  #stalled = false;
  #refusing = false;

  private constructor(server: net.Server, port: number, to: number, options: LinkOptions) {
    this.#server = server;
    this.port = port;
    this.#to = to;
    this.#options = options;
    server.on('connection', (downstream: net.Socket) => this.#accept(downstream));
  }

  /** A link to a port of the loopback address. */
  static async to(port: number, options: LinkOptions = {}): Promise<FaultyLink> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true });
    return new FaultyLink(server, await listenOn(server), port, options);
  }

  /** Connections that are open. */
  get size(): number {
    return this.#pairs.size;
  }

  /** Bytes passed on so far by the connections that are open. */
  get bytes(): number {
    return [...this.#pairs].reduce((sum, pair) => sum + pair.bytes, 0);
  }

  /**
   * A black hole from now on: sockets stay open, the kernels go on acknowledging, bytes and ends vanish; new connections
   * are accepted and get nowhere.
   */
  stall(): void {
    this.#stalled = true;
    for (const pair of this.#pairs) pair.stall();
  }

  /** RST to both sides of every connection; new ones work. */
  reset(): void {
    for (const pair of this.#pairs) pair.end('reset');
  }

  /** FIN to both sides of every connection, at once and whatever was on its way; new ones work. */
  cut(): void {
    for (const pair of this.#pairs) pair.end('fin');
  }

  /** Resets new connections as long as it is true. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  /** Puts random bytes in the middle of what travels in a direction. */
  garble(direction: Direction, length = 1_024): void {
    for (const pair of this.#pairs) pair.inject(direction, randomBytes(length));
  }

  async close(): Promise<void> {
    for (const pair of this.#pairs) pair.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(downstream: net.Socket): void {
    downstream.on('error', () => {});
    if (this.#refusing) {
      downstream.resetAndDestroy();
      return;
    }
    const upstream = net.connect({ port: this.#to, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const pair = new Pair(downstream, upstream, this.#options);
    this.#pairs.add(pair);
    pair.onClose = () => this.#pairs.delete(pair);
    if (this.#stalled) pair.stall();
  }
}

/** One connection through the link: the sockets of both sides. */
class Pair {
  bytes = 0;
  onClose: () => void = () => {};
  readonly #sockets: readonly [net.Socket, net.Socket];
  #stalled = false;
  #ended = false;
  #closed = 0;

  constructor(downstream: net.Socket, upstream: net.Socket, options: LinkOptions) {
    this.#sockets = [downstream, upstream];
    this.#relay(downstream, upstream, 'up', options);
    this.#relay(upstream, downstream, 'down', options);
  }

  stall(): void {
    this.#stalled = true;
    for (const socket of this.#sockets) socket.resume();
  }

  inject(direction: Direction, bytes: Buffer): void {
    this.#sockets[direction === 'up' ? 1 : 0].write(bytes);
  }

  end(how: 'fin' | 'reset'): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const socket of this.#sockets) {
      // What still arrives after a FIN must be read: closing over unread bytes would send RST.
      if (how === 'fin') socket.resume().end();
      else socket.resetAndDestroy();
    }
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #relay(from: net.Socket, to: net.Socket, direction: Direction, options: LinkOptions): void {
    const { cut, delayMs = 0, trickleBytes = 0 } = options;
    const limit = cut?.direction === direction ? cut.atByte : Number.POSITIVE_INFINITY;
    let trickle = trickleBytes;
    let passed = 0;
    let queue = Promise.resolve();

    const pass = async (chunk: Buffer) => {
      if (this.#stalled || this.#ended) return;
      const allowed = chunk.subarray(0, Math.min(chunk.length, limit - passed));
      const slow = Math.min(trickle, allowed.length);
      trickle -= slow;
      for (let at = 0; at < slow; at += 1) await write(to, allowed.subarray(at, at + 1));
      if (allowed.length > slow) await write(to, allowed.subarray(slow));
      passed += allowed.length;
      this.bytes += allowed.length;
      if (cut !== undefined && passed >= limit) this.end(cut.how);
    };
    // A promise chain keeps the order of chunks, and of the end behind them, whatever delays each.
    const enqueue = (step: () => Promise<void> | void) => {
      const due = delayMs === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, delayMs));
      queue = queue.then(() => due).then(step);
    };
    from.on('error', () => {
      if (!this.#stalled) this.end('reset');
    });
    from.on('close', () => {
      this.#closed += 1;
      if (this.#closed === 2) this.onClose();
    });
    from.on('data', (chunk: Buffer) => {
      if (this.#stalled || this.#ended) return;
      // A delayed link has bytes in flight; one without passes each chunk on before it reads the next.
      if (delayMs === 0) from.pause();
      enqueue(async () => {
        await pass(chunk);
        from.resume();
      });
    });
    from.on('end', () => {
      enqueue(() => {
        if (!this.#stalled && !this.#ended) to.end();
      });
    });
  }
}

/** Resolves when the kernel took the bytes, or the socket is gone: who reads its ends learns that elsewhere. */
function write(to: net.Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (to.destroyed) resolve();
    else to.write(bytes, () => resolve());
  });
}
