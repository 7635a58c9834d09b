import { once } from 'node:events';
import * as net from 'node:net';
import { eventually } from './within.ts';

/** Below what a listener keeps waiting, so that none is made to try again. */
const BATCH = 250;
/** A server has a limit for each address. */
const PER_ADDRESS = 2_000;

/** Connections that say nothing. */
export class SilentVisitors {
  readonly #sockets: net.Socket[] = [];
  /** How many the server has ended. */
  ended = 0;
  /** Of those, how many were told why: the last byte of a TLS alert, by its number. */
  readonly alerts = new Map<number, number>();

  /** Opens `count` connections to a port of the loopback address. */
  static async open(port: number, count: number): Promise<SilentVisitors> {
    const visitors = new SilentVisitors();
    for (let at = 0; at < count; at += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, count - at) }, (_, i) => visitors.#open(port, at + i));
      await Promise.all(batch);
    }
    return visitors;
  }

  /** Resolves when the server has ended all of them. */
  async allEnded(deadlineMs: number): Promise<void> {
    await eventually('the end of all who say nothing', () => this.ended === this.#sockets.length, deadlineMs);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #open(port: number, index: number): Promise<void> {
    const localAddress = `127.0.0.${10 + Math.floor(index / PER_ADDRESS)}`;
    const socket = net.connect({ port, host: '127.0.0.1', localAddress });
    this.#sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      const alert = chunk.at(-1) ?? -1;
      this.alerts.set(alert, (this.alerts.get(alert) ?? 0) + 1);
    });
    socket.once('close', () => {
      this.ended += 1;
    });
    await once(socket, 'connect');
  }
}
