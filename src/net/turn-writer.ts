import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { atTurnEnd } from './turn-end.ts';

/** What is gathered before the stream is paused, bytes: the rest of what a turn brings waits in the stream, within its window. */
const GATHERED_BYTES = 64 * 1024;

/**
 * Hands what one turn of the event loop brings from a stream to a socket at the end of the turn, in one piece: one system
 * call instead of many. A single chunk, which is what small exchanges are made of, goes past the socket's queue.
 *
 * Pauses the stream when the socket has enough; the owner resumes it at the socket's `drain`, and calls {@link flush}
 * before it ends the socket. What a destroyed socket had not got is dropped.
 */
export class TurnWriter {
  readonly #from: Readable;
  readonly #to: Socket;
  #first: Buffer | null = null;
  readonly #more: Buffer[] = [];
  #bytes = 0;

  constructor(from: Readable, to: Socket) {
    this.#from = from;
    this.#to = to;
  }

  write(chunk: Buffer): void {
    if (this.#first === null) {
      this.#first = chunk;
      atTurnEnd(this.flush);
    } else {
      this.#more.push(chunk);
    }
    this.#bytes += chunk.length;
    const { writableLength, writableHighWaterMark } = this.#to;
    if (this.#bytes >= GATHERED_BYTES || writableLength >= writableHighWaterMark) this.#from.pause();
  }

  readonly flush = (): void => {
    const first = this.#first;
    if (first === null) return;
    this.#first = null;
    this.#bytes = 0;
    const to = this.#to;
    if (to.destroyed) {
      this.#more.length = 0;
      return;
    }
    let room: boolean;
    if (this.#more.length === 0) {
      room = to.write(first);
    } else {
      to.cork();
      room = to.write(first);
      for (const chunk of this.#more) room = to.write(chunk);
      to.uncork();
      this.#more.length = 0;
    }
    // What the kernel took at once is no reason to wait, however much it was.
    if (!room && to.writableLength > 0) this.#from.pause();
    // It took what waited before in the meantime: no `drain` is going to come.
    else if (this.#from.isPaused()) this.#from.resume();
  };
}
