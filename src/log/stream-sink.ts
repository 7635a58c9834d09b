import { connect, type IpcNetConnectOpts, type Socket, type TcpNetConnectOpts } from 'node:net';
import type { Sink, Written } from './pump.ts';

/** What one write takes at most, characters. */
const BATCH = 64 * 1024;
/** From the dial to an open connection, ms. */
const CONNECT_TIMEOUT_MS = 10_000;
/** How long a receiver may take no byte of what is written, ms. */
const WRITE_TIMEOUT_MS = 30_000;

/** How messages are told apart on a stream. */
export type Framing =
  /** RFC 6587, 3.4.1: the length before each. */
  | 'octet-counting'
  /** RFC 6587, 3.4.2: a line feed behind each. */
  | 'line-feed';

/**
 * A receiver behind a stream. What was handed to the system when a connection broke is lost without anybody being told: so
 * is syslog over TCP. What was not is sent again, perhaps twice.
 */
export class StreamSink implements Sink {
  readonly #address: TcpNetConnectOpts | IpcNetConnectOpts;
  readonly #framing: Framing;
  #socket: Socket | null = null;
  #stale = false;

  constructor(address: TcpNetConnectOpts | IpcNetConnectOpts, framing: Framing) {
    this.#address = address;
    this.#framing = framing;
  }

  async write(lines: readonly string[]): Promise<Written> {
    try {
      if (this.#stale) this.#leave();
      const socket = this.#socket ?? (await this.#connect());
      let text = '';
      let count = 0;
      for (const line of lines) {
        // Messages are ASCII: characters are octets.
        text += this.#framing === 'octet-counting' ? `${line.length} ${line}` : `${line}\n`;
        count += 1;
        if (text.length > BATCH) break;
      }
      await written(socket, text);
      return { count, error: null };
    } catch (error) {
      this.#leave();
      return { count: 0, error: error as Error };
    }
  }

  reopen(): void {
    this.#stale = true;
  }

  close(): Promise<void> {
    const socket = this.#socket;
    if (socket === null || socket.destroyed) return Promise.resolve();
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    // What is still to be written would wait for a receiver that takes nothing.
    if (socket.connecting || socket.writableLength > 0) socket.destroy();
    else socket.destroySoon();
    return closed;
  }

  #leave(): void {
    this.#socket?.destroy();
    this.#socket = null;
    this.#stale = false;
  }

  #connect(): Promise<Socket> {
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const socket = connect({ ...this.#address, keepAlive: true, keepAliveInitialDelay: 60_000 });
    socket.on('error', reject);
    this.#socket = socket;
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => {
      socket.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`));
    });
    socket.once('connect', () => {
      socket.setTimeout(0);
      // Receivers say nothing; without this their end would never be read.
      socket.resume();
      resolve(socket);
    });
    socket.once('close', () => {
      reject(new Error('the connection was closed'));
      if (this.#socket === socket) this.#socket = null;
    });
    return promise;
  }
}

function written(socket: Socket, text: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    socket.destroy(new Error(`nothing was taken within ${WRITE_TIMEOUT_MS} ms`));
  }, WRITE_TIMEOUT_MS);
  socket.write(text, 'latin1', (error) => {
    clearTimeout(timer);
    if (error === null || error === undefined) resolve();
    else reject(error);
  });
  return promise;
}
