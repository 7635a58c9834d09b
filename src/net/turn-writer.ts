import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { FlowWriter } from './flow-writer.ts';
import { type Queues, SessionQueues } from './session-queues.ts';
import { atTurnEnd, type TurnActor } from './turn-end.ts';

/** What a socket may have that the kernel did not take yet, bytes, before the stream is paused. */
const QUEUE_BYTES = 64 * 1024;
/**
 * What one turn may bring for a socket that takes everything: this part of what it took since the kernel last refused some of
 * it, up to so many bytes. A busy tunnel's turn brings more than {@link QUEUE_BYTES} for one of few sockets, and what is left for the next
 * turn is held, grows old, and is collected with everything.
 */
const TAKEN_PART = 1 / 16;
/** The same for one that may stop reading at any moment, beside many that did: the kernel takes about a megabyte first. */
const DOUBTED_PART = 1 / 64;
const MOST_GATHERED_BYTES = 512 * 1024;
/**
 * Above this sum of the queues for one tunnel's streams, bytes, one that was not seen to be read may have as much as one DATA frame:
 * a fast reader needs a queue to be kept busy, and those of thousands that do not read would cost as much as their windows.
 */
const ALL_QUEUES_BYTES = 4 * 1024 * 1024;
const SHORT_QUEUE_BYTES = 16 * 1024;
/** More than the kernels keep for somebody who reads nothing, bytes. */
const READ_BYTES = 8 * 1024 * 1024;

const sessionQueues = new SessionQueues();

/**
 * Hands what one turn of the event loop brings from a stream to a socket at the end of the turn, in one piece: one system
 * call instead of many. A single chunk, which is what small exchanges are made of, goes past the socket's queue. What a
 * destroyed socket had not got is dropped.
 */
export class TurnWriter implements FlowWriter, TurnActor {
  readonly #from: Readable;
  readonly #to: Socket;
  #first: Buffer | null = null;
  readonly #more: Buffer[] = [];
  #bytes = 0;
  /** What the kernel took at once since it last did not take all. */
  #taken = 0;
  readonly #queues: Queues;
  /** Of {@link #queues}. */
  #queued = 0;
  #written = 0;
  /** Whether it took {@link READ_BYTES}: somebody reads, at whatever pace. */
  #isRead = false;

  constructor(from: Readable, to: Socket) {
    this.#from = from;
    this.#to = to;
    this.#queues = sessionQueues.of(from);
  }

  write(chunk: Buffer): void {
    if (this.#first === null) {
      this.#first = chunk;
      atTurnEnd(this);
    } else {
      this.#more.push(chunk);
    }
    this.#bytes += chunk.length;
    if (this.#bytes + this.#to.writableLength >= this.#gatherLimit()) this.#from.pause();
  }

  #gatherLimit(): number {
    const part = this.#isDoubted() ? DOUBTED_PART : TAKEN_PART;
    return Math.max(this.#queueLimit(), Math.min(MOST_GATHERED_BYTES, this.#taken * part));
  }

  #queueLimit(): number {
    return this.#isDoubted() ? SHORT_QUEUE_BYTES : QUEUE_BYTES;
  }

  #isDoubted(): boolean {
    return !this.#isRead && this.#queues.bytes >= ALL_QUEUES_BYTES;
  }

  end(): false {
    this.turnOnEnd();
    this.#to.end();
    return false;
  }

  /** To close a socket sends the FIN as well, a system call sooner. TLS has an end of its own to send. */
  endLast(): boolean {
    this.turnOnEnd();
    if (this.#to instanceof TLSSocket || this.#to.writableLength > 0) return this.end();
    this.#to.destroy();
    return true;
  }

  turnOnEnd(): void {
    const first = this.#first;
    if (first === null) return;
    const bytes = this.#bytes;
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
    this.#written += bytes;
    const queued = to.writableLength;
    // There will be no `drain` to say that a queue which leaves room is gone.
    this.#count(room ? 0 : queued);
    this.#taken = queued === 0 ? this.#taken + bytes : 0;
    // What the kernel took at once is no reason to wait, however much it was; without `room` there will be a `drain`.
    if (!room && queued >= this.#queueLimit()) this.#from.pause();
    // It took what waited before in the meantime: no `drain` is going to come.
    else if (this.#from.isPaused()) this.#from.resume();
  }

  queueOnMove(): void {
    this.#count(this.#to.destroyed ? 0 : this.#to.writableLength);
  }

  /** Drops what waits for the end of the turn. */
  close(): void {
    this.#first = null;
    this.#more.length = 0;
    this.#count(0);
  }

  #count(queued: number): void {
    if (queued === 0 && this.#written >= READ_BYTES) this.#isRead = true;
    this.#queues.bytes += queued - this.#queued;
    this.#queued = queued;
  }
}
