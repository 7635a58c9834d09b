import type { Socket } from 'node:net';
import { Crowd, type Place } from '../core/crowd.ts';
import type { Listener } from './listen.ts';

/** Listeners that belong together, and the sockets that they accepted: what one way in has to stop, await and close. */
export class ListenerGroup {
  readonly #listeners: Listener[] = [];
  readonly #open = new Crowd<Socket>();
  #onEmpty: (() => void)[] = [];

  /** Sockets that are open. */
  get size(): number {
    return this.#open.size;
  }

  addListener(listener: Listener): void {
    this.#listeners.push(listener);
  }

  /** Counts the socket until it closes. */
  addSocket(socket: Socket): void {
    const place = this.#open.enter(socket);
    socket.on('close', () => this.#socketOnClose(place));
  }

  /** Stops accepting at once. Idempotent. */
  stop(): void {
    for (const listener of this.#listeners) listener.stop();
  }

  /** {@link stop}, then resolves when every socket has closed; closes none. */
  async drained(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    // A listener counts a socket as closed a little before the socket says so itself.
    if (this.#open.size > 0) await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }

  /** {@link stop}; what is still open after `drainMs` is ended by `end`. Resolves when every socket has closed. */
  async drain(drainMs: number, end: (socket: Socket) => void): Promise<void> {
    const deadline = setTimeout(() => void this.close(end), drainMs);
    await this.drained().finally(() => clearTimeout(deadline));
  }

  /** {@link stop}, ends every socket by `end`, resolves when all have closed. Idempotent. */
  close(end: (socket: Socket) => void): Promise<void> {
    const drained = this.drained();
    for (const socket of this.#open) end(socket);
    return drained;
  }

  #socketOnClose(place: Place<Socket>): void {
    this.#open.leave(place);
    if (this.#open.size > 0) return;
    for (const resolve of this.#onEmpty.splice(0)) resolve();
  }
}
