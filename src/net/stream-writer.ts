import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { giveBack, isPooled, LEAST_BLOCK_BYTES } from './blocks.ts';
import type { FlowWriter } from './flow-writer.ts';
import { shareReads } from './shared-reads.ts';

/**
 * What a stream may have that was not sent yet, bytes, before the source of large chunks is paused. A socket brings more in
 * a turn than one read takes: paused after each it needs two turns for that, and four system calls for each pause.
 */
const QUEUE_BYTES = 256 * 1024;
/**
 * Above this sum of all streams' queues, bytes, a source is paused until what it brought last was sent: thousands of streams that are
 * stalled would hold a whole queue each. Not the source of a stream that sent more than the kernel keeps for somebody who reads
 * nothing, until the sum is larger still.
 */
const ALL_QUEUES_BYTES = 4 * 1024 * 1024;
const SENT_BYTES = 8 * 1024 * 1024;
const MOST_QUEUES_BYTES = 32 * 1024 * 1024;

let inAllQueues = 0;

/** Writes what a source brings to a stream, which gathers by itself. */
export class StreamWriter implements FlowWriter {
  readonly #from: Duplex;
  readonly #to: Duplex;
  /** Of {@link inAllQueues}. */
  #queued = 0;
  #written = 0;

  constructor(from: Duplex, to: Duplex) {
    this.#from = from;
    this.#to = to;
  }

  write(chunk: Buffer): void {
    this.#written += chunk.length;
    const isLarge = chunk.length >= LEAST_BLOCK_BYTES;
    if (isLarge ? this.#writeLarge(chunk) : this.#to.write(chunk)) return;
    this.queueOnMove();
    const all = this.#written >= SENT_BYTES ? MOST_QUEUES_BYTES : ALL_QUEUES_BYTES;
    if (!isLarge || this.#queued >= QUEUE_BYTES || inAllQueues >= all) this.#from.pause();
  }

  /** Only what is written at once is given back. What most sockets bring is small: none is told to share before a large read came. */
  #writeLarge(chunk: Buffer): boolean {
    if (isPooled(chunk)) return writePooled(this.#to, chunk);
    if (this.#from instanceof Socket) shareReads(this.#from);
    return this.#to.write(chunk);
  }

  end(): void {
    this.#to.end();
  }

  /** The `drain` comes whenever something was counted. */
  queueOnMove(): void {
    this.#count(this.#to.destroyed ? 0 : this.#to.writableLength);
  }

  close(): void {
    this.#count(0);
  }

  #count(queued: number): void {
    inAllQueues += queued - this.#queued;
    this.#queued = queued;
  }
}

/** A stream that is destroyed calls back as well, while the platform may still have the bytes to send. */
function writePooled(to: Duplex, chunk: Buffer): boolean {
  return to.write(chunk, (error) => {
    if (error == null && !to.destroyed) giveBack(chunk);
  });
}
