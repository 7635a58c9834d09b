import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import type { Sink, Written } from './pump.ts';

/** How many datagrams are handed to the system before it is asked what became of them. */
const BATCH = 64;

/** A receiver behind UDP: a message a datagram (RFC 5426). What gets lost on the way is not known, save that nobody listens. */
export class DatagramSink implements Sink {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | null = null;
  #stale = false;
  #closed = false;

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  async write(lines: readonly string[]): Promise<Written> {
    let count = 0;
    try {
      if (this.#stale) this.#leave();
      const socket = this.#socket ?? (await this.#open());
      for (const line of lines.slice(0, BATCH)) {
        await sent(socket, line);
        count += 1;
      }
      return { count, error: null };
    } catch (error) {
      this.#leave();
      return { count, error: error as Error };
    }
  }

  reopen(): void {
    this.#stale = true;
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#leave();
    return Promise.resolve();
  }

  #leave(): void {
    this.#socket?.close();
    this.#socket = null;
    this.#stale = false;
  }

  async #open(): Promise<Socket> {
    const { address, family } = await lookup(this.#host);
    if (this.#closed) throw new Error('closed');
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    // What the far end refuses is told by the next `send`.
    socket.on('error', () => {});
    this.#socket = socket;
    // Connected, so that a refusal is told at all.
    socket.connect(this.#port, address);
    await once(socket, 'connect');
    return socket;
  }
}

function sent(socket: Socket, message: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(message, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}
